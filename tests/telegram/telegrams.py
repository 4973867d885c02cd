"""Telegrams of our own making, with the quirks of real meters."""

from __future__ import annotations

from calendar import timegm
from zoneinfo import ZoneInfo

from p1_exporter.telegram.crc import ARC, X25, Checksum
from p1_exporter.telegram.decoder import Decoded, Decoder
from p1_exporter.telegram.samples import Sample, Samples, samples

AMSTERDAM = ZoneInfo("Europe/Amsterdam")

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


def with_lines(*lines: bytes, header: bytes = HEADER) -> bytes:
    """Return a telegram of these object lines, each without its line end."""
    return sealed(header + b"".join(line + b"\r\n" for line in lines))


PEAKS = (
    b"0-0:98.1.0(3)(1-0:1.6.0)(1-0:1.6.0)(260501000000S)(260412183000S)(03.901*kW)"
    b"(260601000000S)(632525252525W)(00.000*kW)(260701000000S)(260618074500S)(05.250*kW)"
)
# Object lines as they are usual in some countries, values made up.
BELGIAN = (
    b"0-0:96.1.4(50217)",
    b"0-0:96.1.1(3153414733313030303030303031)",
    b"0-0:96.1.2(353431343430303030303030303030303031)",
    b"0-0:1.0.0(260711214502S)",
    b"1-0:1.8.1(000431.205*kWh)",
    b"1-0:1.8.2(000977.018*kWh)",
    b"1-0:1.4.0(00.412*kW)",
    b"1-0:1.6.0(260703181500S)(04.120*kW)",
    PEAKS,
    b"0-0:96.14.0(0001)",
    b"1-0:1.7.0(00.318*kW)",
    b"1-0:31.7.0(001.42*A)",
    b"0-0:96.3.10(1)",
    b"0-0:17.0.0(999.9*kW)",
    b"1-0:31.4.0(999*A)",
    b"0-0:96.13.0()",
    b"0-1:24.1.0(003)",
    b"0-1:96.1.1(37464C4F32313030303030303031)",
    b"0-1:24.4.0(1)",
    b"0-1:24.2.3(260711214000S)(00317.902*m3)",
    b"0-2:24.1.0(007)",
    b"0-2:96.1.1(3853455430303030303030303031)",
    b"0-2:24.2.1(260711214000S)(00051.377*m3)",
)
LUXEMBOURG = (
    b"1-3:0.2.8(42)",
    b"0-0:42.0.0(53414731303030303030303030303031)",
    b"1-0:1.8.0(000731.402*kWh)",
    b"1-0:3.8.0(000012.008*kvarh)",
    b"0-0:17.0.0(027.6*kVA)",
    b"1-1:31.4.0(040*A)(-040*A)",
    b"0-1:96.3.10(0)",
    b"0-2:96.3.10(1)",
    b"0-1:24.1.0(003)",
    b"0-1:96.1.0()",
    b"0-1:24.2.1(632525252525S)(00000.000)",
    b"0-1:24.4.0(1)",
)
HUNGARIAN_PROFILE = b"0-0:98.1.0(260701000000S)" + b"".join(
    b"(%010.3f*%s)" % (number + 0.125, unit)
    for number, unit in enumerate([b"kWh"] * 6 + [b"kvarh"] * 6 + [b"kWh"] + [b"kW"] * 6)
)
HUNGARIAN = (
    b"0-0:42.0.0(TST1030300000001)",
    b"0-0:96.1.0(9900000001)",
    b"0-0:96.14.0(TARIFF 1)",
    b"0-0:96.50.68(ON)",
    b"0-0:17.0.0(90.000*kW)",
    b"1-0:15.8.0(000812.500*kWh )",
    b"1-0:13.7.0(0.336)",
    b"1-0:14.7.0(49.99*Hz)",
    HUNGARIAN_PROFILE,
    b"0-0:96.13.0(" + b"\xff" * 1024 + b")",
)
AUSTRIAN = (
    b"0-0:1.0.0(260711214502S)",
    b"1-0:1.8.0(00734512*Wh)",
    b"1-0:1.7.0(00345*W)",
    b"1-0:3.8.1(00000417*varh)",
    b"1-0:3.7.0(00012*var)",
)
POLISH = (
    b"1-0:1.8.0(004321.035*kWh)",
    b"0-0:17.0.0(16500)",
    b"0-0:17.0.0(16500)",
    b"0-0:17.0.0(16500)",
    b"0-0:94.98.31(00000)",
)
FAILURES = b"1-0:99.97.0(2)(0-0:96.7.19)(260523144934S)(0000000240*s)(251109083138W)(0000000301*s)"


def at(*parts: int) -> float:
    """Return a moment of UTC in seconds since 1970: year, month, day, hour, then minute and second if not 0."""
    return float(timegm((*parts, 0, 0)[:6]))


def decoded(*lines: bytes, zone: str = "Europe/Amsterdam") -> Decoded:
    """Return what a new decoder makes of a telegram of these lines."""
    return Decoder(ZoneInfo(zone)).decode(with_lines(*lines))


def problems(*lines: bytes) -> list[str]:
    """Return why something in these lines could not be read."""
    return [malformed.why for malformed in decoded(*lines).malformed]


def samples_of(*lines: bytes, header: bytes = HEADER, identities: bool = False) -> Samples:
    """Return the samples of a telegram of these lines, line by line."""
    return samples(Decoder(AMSTERDAM).decode(with_lines(*lines, header=header)), identities=identities)


def as_text(sample: Sample) -> str:
    """Return the name and labels of a sample, as Prometheus writes them."""
    labels = ",".join(f'{name}="{value}"' for name, value in sample.labels)
    return f"{sample.name}{{{labels}}}" if labels else sample.name


def exported(
    *lines: bytes, zone: str = "Europe/Amsterdam", identities: bool = False, whole: bool = False
) -> dict[str, float]:
    """Return the samples of a telegram of these lines; with `whole` also what is said of the meter itself."""
    found = samples(decoded(*lines, zone=zone), identities=identities)
    everything = [sample for line in found.by_line for sample in line]
    everything += found.of_telegram if whole else ()
    result = {as_text(sample): sample.value for sample in everything}
    assert len(result) == len(everything)
    return result
