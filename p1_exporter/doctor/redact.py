"""Captures without what identifies a meter or its owner, for bug reports.

Serial numbers, EANs and messages give way to zeros, in headers and lines, in all reads of a capture. Everything else
stays: lengths, times, marks, counters, the boundaries of reads, parity bits as right or wrong as they were, and the
damage, also that of the identities themselves (see `stand_in`). A printed checksum changes by what the identities
changed: with the old one a serial number could be guessed. So what verified verifies, what did not does not, and a
flipped bit is found at the same place as before.

Damage is what makes this hard. Identities are looked for

- in the text as it is, with or without parity bits, and in inverted text, by the code of the line and in headers;
- in what was not accepted, by similarity to the identities that were read elsewhere, by codes that went through a
  fault of the wire, by the place in the telegram if nothing else can be recognised, and by their look.

What no way of reading makes sense of stays as it is. There is no text in it to anybody who does not find out how the
wire distorted it: with a wrong speed most bits of a serial number were never sampled, and under late edges many are
lost, but from the worst of captures, where not one telegram could be read, traces may be recovered by somebody who
takes great pains. To keep such bytes is the price for a capture that still shows what is wrong.

A meter that prints its checksum without leading zeros leaves no room for more digits than it printed. There the last
zeros of an identity are varied until the checksum fits.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.doctor.identities import (
    References,
    first_header_places,
    header_places,
    long_numbers,
    places,
)
from p1_exporter.doctor.stand_in import Wire, as_text, put, stand_in
from p1_exporter.doctor.traces import Expected, Similar, cut_end, distorted, occurrences, spellings
from p1_exporter.errors import UserError
from p1_exporter.link.port import Chunk
from p1_exporter.meter import SILENCE_SECONDS
from p1_exporter.telegram.cipher import is_embedded
from p1_exporter.telegram.crc import ARC, CHECKSUMS, Checksum
from p1_exporter.telegram.events import Noise, Rejection, Telegram
from p1_exporter.telegram.framer import Framer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from p1_exporter.doctor.identities import Place
    from p1_exporter.doctor.traces import Span
    from p1_exporter.link.capture import CaptureEvent
    from p1_exporter.telegram.events import Event
