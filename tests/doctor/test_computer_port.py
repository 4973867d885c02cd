from __future__ import annotations

from typing import TYPE_CHECKING

from tests.doctor.fake_computer import CABLE, TTY, FakeComputer

if TYPE_CHECKING:
    from pathlib import Path


def test_a_port_that_is_missing_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.usb_cable("ttyUSB1")
    found = pc.findings("/dev/ttyUSB0")
    assert (found["port"].status, found["port"].fault) == ("problem", "disconnected")
    assert found["port"].summary == "/dev/ttyUSB0 does not exist."
    # By the name that lasts, and once.
    assert found["port"].advice[0] == f"These ports are there: {CABLE}"
    assert found["port"].advice[1].endswith(f"--serial.port={CABLE}")
    assert set(found) == {"port", "kernel_log"}


def test_a_link_to_an_adapter_that_is_gone_says_where_it_led(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.link(CABLE, "/dev/ttyUSB0")
    finding = pc.findings(CABLE)["port"]
    assert finding.summary.startswith(f"{CABLE} leads to /dev/ttyUSB0, which is not there")
    # The dead link is not offered as a port.
    assert finding.advice[0].endswith("lsusb")


def test_a_computer_without_ports_says_so(tmp_path: Path) -> None:
    finding = FakeComputer(tmp_path).findings(None)["port"]
    assert finding.summary == "No serial port that a meter may be on was found."
    assert finding.status == "problem"


def test_several_adapters_with_none_named_are_listed(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.device("/dev/ttyUSB0")
    pc.device("/dev/ttyUSB1")
    finding = pc.findings(None)["port"]
    assert finding.advice[0] == "These ports are there: /dev/ttyUSB0, /dev/ttyUSB1"


def test_the_uart_of_a_pi_that_is_switched_off_is_told_how_to_switch_on(tmp_path: Path) -> None:
    pi = FakeComputer(tmp_path)
    pi.raspberry("Raspberry Pi 4 Model B Rev 1.4")
    pi.bluetooth()
    advice = "\n".join(pi.findings("/dev/serial0")["port"].advice)
    assert "sudo raspi-config nonint do_serial_hw 0" in advice
    assert "sudo raspi-config nonint do_serial_cons 1" in advice
    assert "echo 'dtoverlay=disable-bt' | sudo tee -a /boot/firmware/config.txt" in advice
    assert "sudo reboot" in advice


def test_without_raspi_config_the_files_are_edited_where_they_are(tmp_path: Path) -> None:
    pi = FakeComputer(tmp_path)
    pi.raspberry("Raspberry Pi 2 Model B Rev 1.1", raspi_config=False)
    pi.path("/boot/firmware/config.txt").rename(pi.path("/boot/config.txt"))
    advice = "\n".join(pi.findings("/dev/serial0")["port"].advice)
    assert "echo 'enable_uart=1' | sudo tee -a /boot/config.txt" in advice
    assert "sudo sed -i -E 's/console=(serial0|ttyAMA0)[^ ]* ?//g' /boot/cmdline.txt" in advice
    assert "disable-bt" not in advice


def test_on_a_pi_5_the_header_uart_is_switched_on_under_its_own_name(tmp_path: Path) -> None:
    pi = FakeComputer(tmp_path)
    pi.raspberry("Raspberry Pi 5 Model B Rev 1.0", raspi_config=False)
    advice = "\n".join(pi.findings("/dev/ttyAMA0")["port"].advice)
    assert "echo 'dtparam=uart0=on' | sudo tee -a /boot/firmware/config.txt" in advice
    assert "--serial.port=/dev/ttyAMA0" in advice


def test_a_file_and_a_folder_are_no_ports(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.write("/home/pi/telegrams.txt")
    assert pc.findings("/home/pi/telegrams.txt")["port"].summary.endswith("is a file, no serial port.")
    assert pc.findings("/home/pi")["port"].summary.endswith("is a folder, no serial port.")


def test_a_device_that_is_no_terminal_is_no_port_and_nothing_else_is_said_of_it(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.device("/dev/null")
    pc.write("/sys/devices/virtual/mem/null/dev")
    pc.link("/sys/dev/char/0:0", "/sys/devices/virtual/mem/null")
    pc.write("/sys/class/mem/null")
    pc.link("/sys/devices/virtual/mem/null/subsystem", "/sys/class/mem")
    pc.process(77, "bash", holds="/dev/null")
    found = pc.findings("/dev/null", uid=0)
    assert found["port"].summary == "/dev/null is a device, but no serial port."
    assert set(found) == {"port", "kernel_log"}


def test_a_name_without_hardware_behind_it_is_no_port(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.mini_uart()
    pc.path("/sys/class/tty/ttyS0/type").write_text("0\n")
    assert "no hardware behind it" in pc.findings("/dev/ttyS0")["port"].summary


def test_a_number_that_may_change_comes_with_the_name_that_does_not(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.usb_cable()
    finding = pc.findings("/dev/ttyUSB0")["port"]
    assert finding.status == "ok"
    assert finding.advice[0].endswith(f"--serial.port={CABLE}")
    assert pc.findings(CABLE)["port"].advice == ()


def test_a_user_outside_the_group_is_told_the_command_that_lets_him_in(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.usb_cable()
    finding = pc.findings("/dev/ttyUSB0", groups=frozenset([1001]), user="anna")["permission"]
    assert (finding.status, finding.fault) == ("problem", "disconnected")
    assert finding.advice[0] == "Add yourself to that group: sudo usermod -aG dialout anna"
    assert "Log out" in finding.advice[1]


def test_the_group_is_the_one_of_the_device_on_this_distribution(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.write("/etc/group", "uucp:x:14:\n")
    pc.usb_cable(group=14)
    finding = pc.findings("/dev/ttyUSB0")["permission"]
    assert "sudo usermod -aG uucp pi" in finding.advice[0]


def test_a_user_added_after_the_login_is_told_to_log_in_again(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.usb_cable()
    finding = pc.findings("/dev/ttyUSB0", groups=frozenset([1000]))["permission"]
    assert "added to the group dialout after this login" in finding.summary
    assert finding.advice[0].startswith("Log out and in again")
    assert "sg dialout -c 'p1-exporter doctor --serial.port=/dev/ttyUSB0'" in finding.advice[1]


def test_a_port_that_a_login_console_closed_is_not_opened_by_a_group(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.usb_cable(mode=0o620, group=TTY)
    finding = pc.findings("/dev/ttyUSB0")["permission"]
    assert finding.status == "problem"
    assert "usermod" not in " ".join(finding.advice)
    assert "login console" in finding.advice[0]


def test_a_port_of_root_alone_gets_a_rule_not_a_user_in_the_group_root(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.usb_cable(group=0)
    advice = pc.findings("/dev/ttyUSB0")["permission"].advice
    assert 'KERNEL=="ttyUSB0", GROUP="dialout"' in advice[0]
    assert "usermod -aG root" not in " ".join(advice)


def test_a_group_without_a_name_is_one_of_outside_the_container(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.usb_cable(group=4711)
    assert "--group-add=4711" in pc.findings("/dev/ttyUSB0")["permission"].advice[0]


def test_root_may_but_is_told_if_the_user_behind_sudo_may_not(tmp_path: Path) -> None:
    pc = FakeComputer(tmp_path)
    pc.usb_cable()
    assert pc.findings("/dev/ttyUSB0", uid=0, user="pi")["permission"].status == "ok"
    finding = pc.findings("/dev/ttyUSB0", uid=0, user="anna")["permission"]
    assert (finding.status, finding.fault) == ("warning", "")
    assert "sudo usermod -aG dialout anna" in finding.advice[0]
