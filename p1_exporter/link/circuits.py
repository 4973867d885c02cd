"""What stands between meter and computer: advice on a bad link depends on it."""

from __future__ import annotations

from typing import Final, Literal, get_args

Circuit = Literal["transistor", "optocoupler", "cable", "bridge"]
"""What stands between meter and computer: an inverter with one transistor, one with an optocoupler, a ready-made USB
cable, a serial server on the network."""
CIRCUITS: Final[tuple[Circuit, ...]] = get_args(Circuit)

_UARTS: Final = ("amba-pl011", "bcm2835aux", "8250", "pty", "simulated")


def usual_circuit(driver: str) -> Circuit:
    """Return the circuit that a port with this driver most likely has."""
    if driver == "tcp":
        return "bridge"
    return "transistor" if driver in _UARTS else "cable"
