"""Text in which bits are wrong here and there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p1_exporter.link.signatures.row import Signature
from p1_exporter.link.signatures.signs import (
    babble,
    breaks_like_mains,
    failing,
    few_marks,
    ones_short,
    only_up,
    zeros_short,
)

if TYPE_CHECKING:
    from p1_exporter.link.evidence import Evidence


def _more_than_the_last_bit(e: Evidence) -> bool:
    """Tell whether bits are wrong at other places too than where a clock that is off has them wrong first."""
    return e.harm.up > e.harm.up_at_top


FLIPPED: Final = (
    Signature(
        "slow_fall",
        0.85,
        "zeros that are followed by a one arrive as ones",
        lambda e: zeros_short(e, 10) and _more_than_the_last_bit(e),
    ),
    Signature("slow_rise", 0.85, "ones that follow a zero arrive as zeros", lambda e: ones_short(e, 10)),
    # Something between the telegrams, where a line that is only slow is still.
    Signature(
        "intermittent",
        0.85,
        "breaks or NULs at any time, and pieces of telegrams missing",
        lambda e: (
            e.bursts.stray > 2
            and (e.bursts.stray_nul > 0.4 or e.break_rate > 1)
            and e.telegrams.intact < 0.95
        ),
    ),
    Signature(
        "hum",
        0.7,
        "errors in step with the mains",
        lambda e: e.telegrams.failed > 1 and e.harm.mains > 0.9 and e.harm.up + e.harm.down > 8,
    ),
    Signature(
        "noise",
        0.85,
        "stray bytes between the telegrams, and bits flipped in them",
        lambda e: (
            e.bursts.stray > 2
            and e.telegrams.failed > 1
            and e.characters.nul < 0.2
            and e.characters.printable < 0.9998
        ),
    ),
    Signature(
        "noise",
        0.7,
        "stray bytes between the telegrams all the time",
        lambda e: babble(e) and e.characters.nul < 0.2,
    ),
    Signature(
        "noise",
        0.85,
        "bytes arrive all the time, and the text is wrong at many places",
        lambda e: (
            e.bursts.idle < 0.3 and e.telegrams.failed > 1 and e.characters.nul < 0.1 and e.text.as_sent > 0.2
        ),
    ),
    Signature(
        "clock",
        0.7,
        "the last bit of characters arrives as the bit before it",
        lambda e: only_up(e, 6) and e.harm.up_at_top_after_one > 0.95 * e.harm.up,
    ),
    Signature(
        "slow_rise",
        0.7,
        "ones that follow a zero arrive as zeros at times",
        lambda e: failing(e) and e.text.rise_late > 1.1 * e.text.as_sent + 0.05,
    ),
    Signature(
        "slow_fall",
        0.7,
        "zeros that are followed by a one arrive as ones at times",
        lambda e: (
            failing(e)
            and e.text.fall_late > 1.2 * e.text.as_sent + 0.08
            and few_marks(e)
            and e.characters.nul < 0.05
        ),
    ),
    Signature(
        "slow_fall",
        0.85,
        "characters that digits and line ends become when zeros arrive too short",
        lambda e: (
            failing(e)
            and e.characters.high > 0.005
            and e.characters.high_of_short_zeros > 0.5
            and few_marks(e)
        ),
    ),
    Signature(
        "slow_fall", 0.7, "zeros that are followed by a one arrive as ones", lambda e: zeros_short(e, 4)
    ),
    Signature("slow_rise", 0.7, "ones that follow a zero arrive as zeros", lambda e: ones_short(e, 4)),
    # One flip in sixty or so is of that kind by chance.
    Signature(
        "clock",
        0.6,
        "a few bits flipped, all of them the last of their character, and like the one before it",
        lambda e: only_up(e, 2) and e.harm.up_at_top_after_one == e.harm.up,
    ),
    Signature(
        "noise",
        0.85,
        "bits flipped without a pattern",
        lambda e: (
            failing(e)
            and e.harm.up + e.harm.down > 5
            and 0.05 * e.harm.up < e.harm.down < 20 * e.harm.up
            and few_marks(e)
            and e.harm.foreign + e.harm.garbled < 0.5 * (e.harm.up + e.harm.down)
        ),
    ),
    Signature(
        "noise",
        0.6,
        "bits flipped",
        lambda e: failing(e) and e.harm.up + e.harm.down > 1 and few_marks(e),
    ),
    Signature(
        "hum",
        0.6,
        "as many breaks a second as the mains have periods",
        lambda e: failing(e) and breaks_like_mains(e),
    ),
)
