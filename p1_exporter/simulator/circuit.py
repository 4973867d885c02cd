"""The circuit between a meter and a UART, as it delays and swallows edges.

    meter: open collector, 60 ohm, 0.1 V -- cable -- R2 6.8 k to 3.3 V -- R3 1 k -- base of T1
    collector of T1 -- R1 10 k to 3.3 V -- RX

Modelled are two nodes, each a capacitance that is charged and discharged exponentially, and a threshold: the wire,
which T1 watches, and RX, which the UART watches. A node that has not got to the threshold when it is turned round
swallows the pulse; one that had not settled starts from where it was. T1 takes a while to leave saturation (its
storage time). The figures are those of the seed circuit, and give the delays that a circuit simulator gives for it.

Not modelled: reflections (cables are far shorter than edges are long), inductance, the temperature of anything, and
the meter's own output stage, which is taken to be fast.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

SUPPLY: Final = 3.3
"""Volts."""
PULL_UP: Final = 6800.0
"""R2 of the seed circuit, in ohm."""
METER_OHM: Final = 60.0
MARK_VOLT: Final = 0.13
"""The meter's low level, through the base current."""
CLAMP_VOLT: Final = 1.0
"""Base and R3 keep the released wire from rising further."""
T1_VOLT: Final = 0.62
"""The wire's voltage at which T1 begins and ceases to conduct."""
MARK_MARGIN: Final = 0.50
"""Volts in series with the wire that turn T1 on while the meter pulls."""
SPACE_MARGIN: Final = 0.68
"""Volts against it that turn T1 off while the meter has released the wire, for a pulse shorter than a bit."""
METER_FARAD: Final = 150e-12
CABLE_FARAD: Final = 60e-12
"""A metre."""

_RX_RISE_VOLT: Final = 1.55
_RX_FALL_VOLT: Final = 1.25
_RX_OHM: Final = 10_000.0
_RX_FARAD: Final = 30e-12
"""Pin, collector and a short wire."""
_T1_STORAGE: Final = 0.15e-6
_T1_PULLS: Final = 0.2e-6
"""Time constant of the discharge of RX through T1 as it begins to conduct."""


class Swing(NamedTuple):
    """One direction in which a node is driven.

    Attributes:
        target: volts that it tends to.
        tau: time constant in seconds.
        threshold: volts at which it counts as having got there.
        dead: seconds before it begins to move.
        stop: volts where it is stopped on the way.
    """

    target: float
    tau: float
    threshold: float
    dead: float = 0.0
    stop: float | None = None


class Node:
    """A capacitance that is driven one way or the other, and the comparator that watches it.

    Args of the constructor: `rest`, how it was driven for long; `other`, how it is after the first edge.
    """

    def __init__(self, rest: Swing, other: Swing) -> None:
        self._swings = (rest, other)
        self._driven = 0
        self._since = 0.0
        self._volt = rest.target if rest.stop is None else rest.stop
        self._crossing = math.inf
        self._passed_on = 0
        """Which of the swings the comparator has seen the effect of."""
        self.stretch = 1.0
        """By how much edges are slower now than they are on average."""

    @property
    def at_rest(self) -> bool:
        """Whether no edge is on its way."""
        return not self._driven and math.isinf(self._crossing)

    def pass_on(self, edges: list[float], until: float) -> list[float]:
        """Return when the comparator changes before `until`, given all the edges up to then that are new."""
        passed = []
        crossing, since, volt = self._crossing, self._since, self._volt
        driven, seen = self._driven, self._passed_on
        target, tau, _, dead, stop = self._swings[driven]
        tau *= self.stretch
        for edge in edges:
            if crossing <= edge:
                passed.append(crossing)
                seen = driven
            elapsed = edge - since - dead
            if elapsed > 0:
                volt = target + (volt - target) * math.exp(-elapsed / tau)
                if stop is not None and volt > stop:
                    volt = stop
            driven ^= 1
            target, tau, threshold, dead, stop = self._swings[driven]
            tau *= self.stretch
            since = edge
            # Nothing to tell where the node had not got to the other threshold before it was turned round.
            crossing = math.inf
            if seen != driven:
                ahead = (target - volt) / (target - threshold)
                crossing = edge + dead + tau * math.log(max(ahead, 1.0))
        if crossing <= until:
            passed.append(crossing)
            seen = driven
            crossing = math.inf
        self._crossing, self._since, self._volt = crossing, since, volt
        self._driven, self._passed_on = driven, seen
        return passed


def wire_node(pull_up: float = PULL_UP, farad: float = METER_FARAD + 3 * CABLE_FARAD) -> Node:
    """Return the wire as T1 sees it: it is mark at rest, and rises through the `pull_up` (ohm) in a space.

    The least `farad` is that of three metres of cable.
    """
    pulled = Swing(MARK_VOLT, METER_OHM * farad, T1_VOLT)
    released = Swing(SUPPLY, pull_up * farad, T1_VOLT, stop=CLAMP_VOLT)
    return Node(pulled, released)


def rx_node(tau: float = _RX_OHM * _RX_FARAD, dead: float = _T1_STORAGE) -> Node:
    """Return RX as the UART sees it: high at rest, rising with `tau` after T1 has been conducting."""
    rising = Swing(SUPPLY, tau, _RX_RISE_VOLT, dead)
    falling = Swing(0.1, _T1_PULLS, _RX_FALL_VOLT)
    return Node(rising, falling)


def pull_up_for(fall_delay: float, farad: float = METER_FARAD + 3 * CABLE_FARAD) -> float:
    """Return the R2 (ohm) with which RX falls `fall_delay` seconds after the meter has released the wire."""
    return max(fall_delay - _T1_TURNS_ON, 0.0) / (farad * math.log((SUPPLY - MARK_VOLT) / (SUPPLY - T1_VOLT)))


def rise_tau_for(rise_delay: float) -> float:
    """Return the time constant with which RX rises `rise_delay` seconds after T1 ceases to conduct."""
    return max(rise_delay - _T1_STORAGE, 0.0) / math.log((SUPPLY - 0.1) / (SUPPLY - _RX_RISE_VOLT))


_T1_TURNS_ON: Final = _T1_PULLS * math.log((SUPPLY - 0.1) / (_RX_FALL_VOLT - 0.1))
RX_FALL: Final = 0.6e-6
RX_RISE: Final = 0.35e-6
"""Seconds from the meter's edge to that of RX, with the seed circuit and three metres of cable."""
