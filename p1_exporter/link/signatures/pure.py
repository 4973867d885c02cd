"""Text that is perfect as far as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p1_exporter.link.signatures.row import Signature
from p1_exporter.link.signatures.signs import broken_lines, clean, failing, few_marks, pure

if TYPE_CHECKING:
    from p1_exporter.link.evidence import Evidence


def _missing(e: Evidence) -> bool:
    """Tell whether characters are missing, and nothing else is wrong."""
    bad = e.telegrams.failed + e.telegrams.missed
    # Two bad telegrams may be two accidents, but not if there are more holes than telegrams.
    often = bad > 2 or (bad > 1 and e.harm.gaps > bad)
    # What is missing makes no other characters of those that are left.
    untouched = e.characters.seven_bit or e.characters.printable > 0.9995
    return (
        pure(e)
        and untouched
        and often
        and (e.harm.lost > 0 or (not e.harm.examined and e.lines.whole < 0.97))
    )


def _only_gaps(e: Evidence) -> bool:
    """Tell whether the telegrams that were looked into lack characters, and nothing else is wrong with them."""
    wrong = e.harm.flips + e.harm.shifted + e.harm.foreign
    return e.harm.examined > 1 and e.harm.gaps >= e.harm.examined and not wrong and e.uart.framing < 0.01


def _at_the_ends(e: Evidence) -> bool:
    """Tell whether little but beginnings and ends is missing, in those telegrams that were looked into.

    Wrong bits at a cut look like more of the telegram, so one gap a telegram may be a cut as well.
    """
    return e.harm.gaps <= 1.5 * max(e.harm.tails + e.harm.heads, e.harm.examined)


def _begins_late(e: Evidence) -> bool:
    """Tell whether beginnings of telegrams are missing, and neither their ends nor much in between."""
    cut = e.bursts.whole_endings > 0.75 and e.bursts.whole_beginnings < 0.7 and broken_lines(e) < 2.5
    telegrams = e.bursts.main > max(3, 3 * e.bursts.stray)
    quiet = e.characters.nul < 0.01 and few_marks(e)
    return failing(e) and telegrams and cut and quiet and _at_the_ends(e)


PURE: Final = (
    Signature(
        "checksum",
        0.9,
        "nothing is wrong in the text, and the checksum never fits",
        lambda e: pure(e) and not e.telegrams.accepted and e.telegrams.failed > 2 and e.lines.whole > 0.995,
    ),
    Signature(
        "request_drop",
        0.85,
        "the end of each bad telegram is missing, or its beginning, and nothing else",
        lambda e: clean(e) and e.harm.examined > 1 and e.harm.tails + e.harm.heads == e.harm.examined,
    ),
    Signature(
        "request_drop",
        0.85,
        "telegrams break off, and what arrives of them is perfect",
        lambda e: (
            clean(e)
            and e.bursts.whole_beginnings > 0.8
            and e.bursts.whole_endings < 0.7
            and e.bursts.main > 1
            and broken_lines(e) < 1.1
            and _at_the_ends(e)
        ),
    ),
    Signature(
        "request_drop",
        0.85,
        "telegrams begin late, and what arrives of them is perfect",
        lambda e: _begins_late(e) and e.bursts.whole_beginnings < 0.5,
    ),
    Signature("request_drop", 0.6, "telegrams begin late at times", _begins_late),
    Signature(
        "request_drop",
        0.85,
        "telegrams break off and begin anew",
        lambda e: (
            clean(e) and e.telegrams.truncated > 0.7 * e.telegrams.failed and e.bursts.whole_endings > 0.8
        ),
    ),
    Signature(
        "second_reader",
        0.85,
        "characters are missing that the UART has received",
        lambda e: pure(e) and e.uart.taken > 0.0005 and (e.harm.lost > 0 or e.lines.whole < 0.995),
    ),
    Signature(
        "lost_characters",
        0.85,
        "characters are missing with no trace in the UART, and what arrives is perfect",
        lambda e: _missing(e) and (e.uart.tells_losses or e.line.network),
    ),
    Signature("lost_characters", 0.6, "characters are missing, and what arrives is perfect", _missing),
    Signature(
        "lost_characters",
        0.6,
        "characters are missing in the telegrams that were looked into, and all others are as they were sent",
        _only_gaps,
    ),
)
