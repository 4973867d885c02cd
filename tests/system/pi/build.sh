#!/usr/bin/env bash
# build.sh FOLDER
#
# Makes an emulated Raspberry Pi 3B with Debian 12 and this checkout's p1_exporter, in an empty FOLDER:
#   vmlinuz   Debian's kernel
#   pi.dtb    Debian's device tree of the board, as the firmware of a real one hands it over
#   initrd    Debian's packages, the exporter, a module that makes line errors, and an init
# No maintainer script runs, as emulation would make that slow; hence no arm64 program runs here either.
#
# Needs Debian 12 with the packages cpio, device-tree-compiler, gcc-aarch64-linux-gnu, kmod, make and python3 (whose
# version is that of the guest's Python, for which it compiles the modules). Needs no root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../../.." && pwd)
out=$(cd "$1" && pwd)
root=$out/root
PATH=$PATH:/usr/sbin # depmod

suite=bookworm
architecture=$(dpkg --print-architecture)
packages=(
    busybox-static
    python3-prometheus-client python3-rpi.gpio python3-serial python3-structlog python3-yaml
    tzdata
)
# Files of the kernel package below lib/modules/*/kernel: the board's USB, for a network.
modules=(
    'drivers/net/mii.ko' 'drivers/net/usb/cdc_ether.ko' 'drivers/net/usb/usbnet.ko'
    'drivers/usb/common/*' 'drivers/usb/core/*' 'drivers/usb/dwc2/*' 'drivers/usb/gadget/udc/udc-core.ko'
    'drivers/usb/phy/phy-generic.ko' 'drivers/usb/roles/*'
)

say() { printf '%3d s: %s\n' "$SECONDS" "$*"; }

# An apt of its own, in which nothing is installed: it resolves dependencies for the other architecture. It takes the
# archive that this machine's apt takes.
apt=$out/apt
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $suite" 'Component: main' |
    sed -n 1p)
: "${archive:?this machine knows no archive of $suite; has apt-get update run?}"
mkdir -p "$apt"/{lists/partial,cache/archives/partial}
touch "$apt/status"
echo "deb [arch=arm64,$architecture signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" \
    >"$apt/sources.list"
cat >"$apt/apt.conf" <<END
Dir::Cache "$apt/cache";
Dir::State::Lists "$apt/lists";
Dir::State::Status "$apt/status";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
APT::Architecture "arm64";
APT::Architectures { "arm64"; "$architecture"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
END
export APT_CONFIG=$apt/apt.conf
apt-get -qq update
kernel=$(apt-cache depends linux-image-arm64 | awk '$1 == "Depends:" { print $2 }')
release=${kernel#linux-image-} # 6.1.0-50-arm64
version=${release%-arm64}      # 6.1.0-50
say "packages of $suite, kernel $release"
apt-get -qq install --download-only "${packages[@]}" >/dev/null
mkdir "$apt/kernel"
(
    cd "$apt/kernel"
    apt-get -qq download "$kernel" \
        "linux-headers-$version-common" "linux-headers-$release" "linux-kbuild-${version%.*}:$architecture"
)

say 'kernel and device tree'
dpkg-deb --fsys-tarfile "$apt/kernel/${kernel}"_*.deb |
    tar -x -C "$out" --wildcards --one-top-level=kernel \
        './boot/vmlinuz-*' './usr/lib/*/bcm2837-rpi-3-b.dtb' './lib/modules/*/modules.*' \
        "${modules[@]/#/./lib/modules/*/kernel/}"
mv "$out/kernel/boot/vmlinuz-$release" "$out/vmlinuz"
mv "$out/kernel/usr/lib/linux-image-$release/broadcom/bcm2837-rpi-3-b.dtb" "$out/pi.dtb"
# The firmware tells the board's revision (a Pi 3B), without which RPi.GPIO does not load.
fdtput -c "$out/pi.dtb" /system
fdtput -t x "$out/pi.dtb" /system linux,revision 0xa02082
# dtoverlay=disable-bt: the PL011 belongs to the pins of the header.
fdtput -r "$out/pi.dtb" /soc/serial@7e201000/bluetooth

say 'module that makes line errors'
for package in "$apt"/kernel/linux-{headers,kbuild}-*.deb; do
    dpkg-deb -x "$package" "$out/headers"
done
headers=$out/headers/usr/src/linux-headers-$release
sed -i "s#/usr/src/#$out/headers/usr/src/#" "$headers/Makefile" # it includes that of the other package
cp -r "$here/module" "$out/module"
make -s -C "$headers" M="$out/module" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- CONFIG_DEBUG_INFO_BTF_MODULES= modules

say 'file system'
mkdir -p "$root"/{dev,proc,sys,tmp}
for package in "$apt"/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$root"
done
rm -r "$root"/usr/share/{doc,man,locale}
cp -r "$out/kernel/lib/modules" "$root/lib/modules"
install -D -m 644 -t "$root/lib/modules/$release/updates" "$out/module/pl011_inject.ko"
depmod -b "$root" "$release"
cp -r "$checkout/p1_exporter" "$root/usr/lib/python3/dist-packages"
# Compiled here, and believed there without a look at the sources: both are slow under emulation.
/usr/bin/python3.11 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash -s "$root" "$root/usr/lib/python3"{,.11}
install -m 755 "$here/init" "$root/init"
# Uncompressed, as nothing is as fast to unpack.
(cd "$root" && find . | cpio --quiet --create --format=newc --owner=0:0) >"$out/initrd"
say "done, $(du -h "$out/initrd" | cut -f 1)"
