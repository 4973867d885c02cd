"""SD cards for an emulated Raspberry Pi 3B: Debian with systemd, made once for a suite and kept.

The card holds what the package depends on, as apt would take long to install it under emulation, but not the package.
Beside it are Debian's kernel, its device tree of the board as the firmware of a real one hands it over, and an initrd
that finds the card. All is kept in `$P1_BUILD_CACHE`, or in build/cache of the checkout, until what belongs in it
changes. Needs root, and the Debian packages arch-test, binfmt-support, cpio, device-tree-compiler, e2fsprogs, kmod,
mmdebstrap and qemu-user-static.
"""

from __future__ import annotations

import lzma
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import NamedTuple

from tests.system.debian.image import CACHE, CHECKOUT, LIBRARIES, TIMERS, kept, run

HERE = Path(__file__).parent

_CARD_BYTES = 1 << 30  # cards have a power of two

_PACKAGES = (
    *("linux-image-arm64", "busybox-static"),
    *("systemd", "systemd-sysv", "udev", "dbus", "kmod", "iproute2", "procps"),
    *("python3", "tzdata", *LIBRARIES, "python3-rpi.gpio"),
)
# Of the kernel's modules, those for the card, the network, serial adapters, what connects them to the board, and the
# watchdog, by which the board restarts.
_MODULES = (
    *("crypto/*", "fs/ext4/*", "fs/jbd2/*", "fs/mbcache*", "lib/*"),
    *(
        f"drivers/{kind}/*"
        for kind in ("clk", "dma", "gpio", "mailbox", "mfd", "mmc", "pinctrl", "regulator", "usb", "watchdog")
    ),
    *("drivers/net/mii*", "drivers/net/usb/cdc_ether*", "drivers/net/usb/usbnet*"),
)
_MODULES_FOR_CARD = ("bcm2835-dma", "bcm2835", "sdhci-iproc", "mmc_block", "ext4")
_LEFT_OUT = (
    *("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"),
    "*/lib/modules/*/kernel/*",
    # An initrd of its own would take minutes under emulation.
    "/etc/kernel/*",
)
_ENABLED = ("systemd-networkd.service", "shell.socket", "ready.service")
# A login on the console would write into it.
_MASKED = (*TIMERS, "e2scrub_reap.service", "serial-getty@ttyS1.service")


class Image(NamedTuple):
    """All that the emulated machine is started with."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def device_tree(self) -> Path:
        return self.folder / "pi.dtb"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"

    @property
    def card(self) -> Path:
        return self.folder / "card.ext4"


def image(suite: str) -> Image:
    """Return the image of a suite, which nobody changes; it is made if it is not there."""
    sources = (Path(__file__), *_sources(), HERE / "init", *sorted((HERE / "files").rglob("*")))
    recipe = b"".join(path.read_bytes() for path in sources if path.is_file())
    return Image(kept(f"{suite}-pi", recipe, lambda folder: _make(suite, Image(folder))))


def _sources() -> list[Path]:
    """Return the sources of the modules: a way to the pins, and line errors on demand."""
    return [*sorted((HERE / "module").iterdir()), CHECKOUT / "tests/system/pi/module/pl011_inject.c"]


def _make(suite: str, made: Image) -> None:
    made.folder.mkdir()
    with tempfile.TemporaryDirectory(prefix="p1-pi-", dir=CACHE) as work:
        _fill(suite, made, Path(work))


def _fill(suite: str, made: Image, work: Path) -> None:
    root = work / "root"
    _say(f"{suite}: Debian for arm64, which takes ten minutes")
    _debian(suite, root)
    (release,) = (path.name for path in (root / "usr/lib/modules").iterdir())
    _say(f"{suite}: modules for {release}")
    _modules(suite, release, work)
    for module in work.glob("*.ko"):
        target = root / f"usr/lib/modules/{release}/updates"
        target.mkdir(exist_ok=True)
        shutil.move(module, target)
    run("depmod", "-b", str(root), release)
    _say(f"{suite}: kernel, device tree, initrd, card")
    shutil.copy(root / f"boot/vmlinuz-{release}", made.kernel)
    _device_tree(root / f"usr/lib/linux-image-{release}/broadcom/bcm2837-rpi-3-b.dtb", made.device_tree)
    _initrd(root, release, made.initrd, work / "initrd")
    _settings(root)
    with made.card.open("wb") as card:
        card.truncate(_CARD_BYTES)
    run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(made.card))


def _debian(suite: str, root: Path) -> None:
    """Install Debian into a folder; programs of the other architecture run by qemu-user."""
    handlers = Path("/proc/sys/fs/binfmt_misc")
    if not (handlers / "register").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", str(handlers))
    if not (handlers / "qemu-aarch64").exists():
        run("update-binfmts", "--enable", "qemu-aarch64")
    run(
        *("mmdebstrap", "--quiet", "--mode=root", "--format=directory", "--variant=minbase"),
        *("--architectures=arm64", f"--include={','.join(_PACKAGES)}"),
        *('--aptopt=APT::Install-Recommends "false"', "--dpkgopt=force-unsafe-io"),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        *(f"--dpkgopt=path-include=*/lib/modules/*/kernel/{pattern}" for pattern in _MODULES),
        *(suite, str(root)),
    )


def _modules(suite: str, release: str, work: Path) -> None:
    """Compile the modules with the suite's own compiler and headers, in a throw-away Debian of this architecture."""
    source = work / "module"
    source.mkdir()
    for path in _sources():
        shutil.copy(path, source)
    run(
        *("mmdebstrap", "--quiet", "--mode=root", "--format=null", "--variant=apt"),
        f"--architectures={run('dpkg', '--print-architecture').strip()},arm64",
        "--include=make,gcc-aarch64-linux-gnu",
        *('--aptopt=APT::Install-Recommends "false"', "--dpkgopt=force-unsafe-io"),
        f"--customize-hook=copy-in {source} /tmp",
        f'--customize-hook=chroot "$1" /tmp/module/build {release}',
        *(f"--customize-hook=copy-out /tmp/module/{path.stem}.ko {work}" for path in source.glob("*.c")),
        *(suite, "/dev/null"),
    )


def _device_tree(source: Path, target: Path) -> None:
    """Do to Debian's device tree what the firmware of a board does."""
    shutil.copy(source, target)
    # The revision of the board, a Pi 3B, without which RPi.GPIO does not load.
    run("fdtput", "-c", str(target), "/system")
    run("fdtput", "-t", "x", str(target), "/system", "linux,revision", "0xa02082")
    # dtoverlay=disable-bt: the PL011 belongs to the pins of the header.
    run("fdtput", "-r", str(target), "/soc/serial@7e201000/bluetooth")


def _initrd(root: Path, release: str, target: Path, work: Path) -> None:
    """Pack the modules that the card takes, with what loads them."""
    for folder in ("bin", "dev", "modules", "proc", "root"):
        (work / folder).mkdir(parents=True)
    shutil.copy(HERE / "init", work)
    (work / "init").chmod(0o755)
    shutil.copy(root / "bin/busybox", work / "bin")
    command = ("modprobe", "-d", str(root), "-S", release, "--show-depends", "--all", *_MODULES_FOR_CARD)
    order = dict.fromkeys(
        line.split()[1] for line in run(*command).splitlines() if line.startswith("insmod ")
    )
    for path in map(Path, order):
        data = path.read_bytes()
        name = path.name.removesuffix(".xz")
        (work / "modules" / name).write_bytes(data if name == path.name else lzma.decompress(data))
    (work / "modules/order").write_text("".join(f"{Path(path).name.removesuffix('.xz')}\n" for path in order))
    # Uncompressed, as nothing is as fast to unpack.
    packing = ("cpio", "--quiet", "--create", "--format=newc", "--owner=0:0", f"--file={target}")
    names = "\n".join(str(path.relative_to(work)) for path in sorted(work.rglob("*")))
    run(*packing, cwd=work, text=names)


def _settings(root: Path) -> None:
    """Make the system a Raspberry Pi that is ready for tests."""
    shutil.copytree(HERE / "files", root, dirs_exist_ok=True)
    run("systemctl", "--quiet", f"--root={root}", "enable", *_ENABLED)
    run("systemctl", "--quiet", f"--root={root}", "mask", *_MASKED)
    (root / "etc/hostname").write_text("raspberrypi\n")
    (root / "etc/fstab").write_text("")
    # As on Raspberry Pi OS.
    run("groupadd", "--root", str(root), "--system", "gpio")
    # Debian's own services are not looked through again at the first boot.
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - whoever waits wants to know for what
