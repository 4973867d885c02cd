"""Telegrams of our own making, with the quirks of real meters."""

from __future__ import annotations

from p1_exporter.telegram.crc import ARC, X25, Checksum

HEADER = b"/TST5\\2M550T-1011\r\n\r\n"
LINES = (
    b"1-3:0.2.8(50)\r\n"
    b"0-0:1.0.0(261123101500W)\r\n"
    b"0-0:96.1.1(4530303030303030303030303030303030)\r\n"
    b"1-0:1.8.1(001234.567*kWh)\r\n"
    b"1-0:1.7.0(00.345*kW)\r\n"
    b"0-1:24.1.0(003)\r\n"
    b"0-1:24.2.1(261123101000W)(00123.456*m3)\r\n"
)


def sealed(body: bytes, *, checksum: Checksum = ARC, line_end: bytes = b"\r\n", form: str = "04X") -> bytes:
    """Return `body`, from its slash to its last line end, with its checksum."""
    text = body + b"!"
    return text + format(checksum.of(text), form).encode() + line_end


TELEGRAM = sealed(HEADER + LINES)
OLD_TELEGRAM = (
    b"/TST5 OLD0001\r\n\r\n"
    b"1-0:1.8.1(00185.000*kWh)\r\n"
    b"1-0:1.7.0(0000.98*kW)\r\n"
    b"0-1:24.1.0(3)\r\n"
    b"0-1:24.3.0(120517020000)(08)(60)(1)(0-1:24.2.1)(m3)\r\n"
    b"(00124.477)\r\n"
    b"!\r\n"
)
X25_TELEGRAM = sealed(HEADER + LINES, checksum=X25)


def telegram(number: int) -> bytes:
    """Return a telegram that differs from those of other numbers."""
    return sealed(HEADER + LINES.replace(b"00.345", b"%02d.%03d" % (number // 1000 % 100, number % 1000)))
