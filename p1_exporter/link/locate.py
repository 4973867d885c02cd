"""Which port to read where the user named none."""

from __future__ import annotations

from pathlib import Path

_USB_ADAPTERS = ("ttyUSB*", "ttyACM*")


def default_port(root: Path = Path("/")) -> tuple[str, str] | None:
    """The first that exists of: a USB adapter with P1 in its name, the only USB serial adapter, /dev/serial0.

    Args:
        root: folder that holds `dev`.

    Returns:
        The path, and in words why this one; None where nothing suits.
    """
    devices = root / "dev"
    names = sorted(link for link in (devices / "serial/by-id").glob("*") if link.exists())
    for name in names:
        if "p1" in name.name.lower():
            return str(name), "a USB adapter with P1 in its name"
    adapters = [adapter for pattern in _USB_ADAPTERS for adapter in devices.glob(pattern)]
    if len(adapters) == 1:
        # The name by-id survives that the kernel counts differently after the adapter was unplugged.
        same = (name for name in names if name.resolve() == adapters[0].resolve())
        return str(next(same, adapters[0])), "the only USB serial adapter"
    header = devices / "serial0"
    if header.exists():
        why = "several USB serial adapters are there" if adapters else "no USB serial adapter is there"
        return str(header), f"the UART on the pin header, as {why}"
    return None
