"""The circuit in text, with the suspected parts marked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from p1_exporter.link.circuits import Circuit

_TRANSISTOR: Final = """\
   meter                                                  Raspberry Pi

                           3.3 V           3.3 V  o-------o  1  3.3 V
                             |               |
                         [R2 6.8k]       [R1 10k]
                             |               |
 Data     5 o--[  cable  ]---+--[R3 1k]--.   +------------o 10  [RXD]
                                         |  /
                                         '-[T1]  NPN
                                             \\
 Data GND 3 o--[ ground  ]--------------------+-----------o  6  GND

 Request  2 o--[ request ]--------------------------------o  7  GPIO4

 [meter]  [plug]                                   [setting]  [program]"""

_OPTOCOUPLER: Final = """\
   meter                                                  computer

                            5 V                   3.3 V
                             |                      |
                      [pull-up 390]            [R1 1k]
                             |                      |
 Data     5 o--[  cable  ]---+---[optocoupler]------+-----o  [RXD]
                                        |
 Data GND 3 o--[ ground  ]--------------+                 o  GND

 Request  2 o--[ request ]--------------------------------o  5 V

 [meter]  [plug]                                   [setting]  [program]"""

_CABLE: Final = """\
   meter                     USB cable                    computer

 Data     5 o--[  cable  ]--[inverter]--[adapter]--[ USB ]--o

 Data GND 3 o--[ ground  ]----------------'

 Request  2 o--[ request ]----------------'

 [meter]  [plug]                                   [setting]  [program]"""

_BRIDGE: Final = """\
   meter                    serial server                  computer

 Data     5 o--[  cable  ]--[inverter]--[server]--[network]--o

 Data GND 3 o--[ ground  ]------------------'

 Request  2 o--[ request ]------------------'

 [meter]  [plug]                                   [setting]  [program]"""

_DRAWINGS: Final[dict[Circuit, str]] = {
    "transistor": _TRANSISTOR,
    "optocoupler": _OPTOCOUPLER,
    "cable": _CABLE,
    "bridge": _BRIDGE,
}
_PART: Final = re.compile(r"\[ *([^]]*?) *\]")


def parts(circuit: Circuit) -> frozenset[str]:
    """Return the names of the parts in the drawing of `circuit`, without their values."""
    return frozenset(_name(found[1]) for found in _PART.finditer(_DRAWINGS[circuit]))


def drawing(circuit: Circuit, suspected: Collection[str]) -> str:
    """Return the drawing of `circuit`; the parts in `suspected` stand between hash signs in place of brackets."""

    def mark(found: re.Match[str]) -> str:
        return f"#{found[0][1:-1]}#" if _name(found[1]) in suspected else found[0]

    return _PART.sub(mark, _DRAWINGS[circuit])


def _name(label: str) -> str:
    return label.split(maxsplit=1)[0]
