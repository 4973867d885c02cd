"""The signatures of line faults: how each shows in the evidence.

Rows stand in the order in which they exclude each other: the first that holds is the fault of its layer. To teach the
program another fault, add a row to one of the tables here and an entry in `faults.toml`. The bounds lie between the
medians measured for the fault and those of its neighbours. A confidence below 0.8 says that another fault may look the
same.
"""

from __future__ import annotations

from typing import Final

from p1_exporter.link.signatures.computer import COMPUTER
from p1_exporter.link.signatures.distorted import DISTORTED
from p1_exporter.link.signatures.flipped import FLIPPED
from p1_exporter.link.signatures.level import LEVEL
from p1_exporter.link.signatures.pure import PURE

LAYERS: Final = (COMPUTER, LEVEL + DISTORTED + PURE + FLIPPED)
"""Signatures in two layers: what the computer does, and what the line is like."""
