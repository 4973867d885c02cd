"""Questions that several signatures ask of the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from p1_exporter.link.evidence import Evidence

# A little less than the near past that is looked at.
_PATIENCE: Final = 11.5
_PATIENCE_PERIODS: Final = 3.0
_GLITCHES: Final = 12
_MUCH_STRAY: Final = 10


def silent(e: Evidence) -> bool:
    """Tell whether nothing arrives any more, or next to nothing ever did."""
    patience = max(_PATIENCE, _PATIENCE_PERIODS * e.bursts.period)
    next_to_nothing = e.size < _GLITCHES and e.seconds > patience
    return (e.silent_for > patience or next_to_nothing) and e.uart.taken < 0.5


def troubled(e: Evidence) -> bool:
    """Tell whether there is anything to explain: one bad telegram is an accident."""
    return (
        silent(e)
        or (failing(e) and e.telegrams.intact < 0.97)
        or babble(e)
        or e.uart.framing > 0.3
        or e.uart.parity > 0.2
        or e.uart.taken > 0.04
        or (e.load > 0.5 and e.characters.nul > 0.5)
        or (not e.telegrams.accepted and (e.bursts.main > 1 or e.size > 500))
    )


def failing(e: Evidence) -> bool:
    """Tell whether more went wrong than an accident."""
    return e.telegrams.accidents + e.telegrams.missed > 1


def babble(e: Evidence) -> bool:
    """Tell whether so much arrives between the telegrams that the line cannot be at rest there."""
    return e.bursts.stray > _MUCH_STRAY and e.characters.printable < 0.9998


def nothing_understood(e: Evidence) -> bool:
    """Tell whether telegrams arrive, and none of them was accepted."""
    return not e.telegrams.accepted and e.bursts.main > 1


def broken_lines(e: Evidence) -> float:
    """Return how many lines are broken in each telegram: where it is cut at one place, that is one."""
    return (1 - e.lines.whole) * e.lines.number / max(e.bursts.main, 1)


def text_gone(e: Evidence) -> bool:
    """Tell whether hardly any text is left."""
    return not e.telegrams.accepted and e.text.as_sent < 0.1 and e.lines.whole < 0.5


def clean(e: Evidence) -> bool:
    """Tell whether what arrives is all text, and the UART has nothing against it."""
    text = e.characters.printable > 0.997 or e.lines.whole > 0.995
    if e.characters.seven_bit:
        # A bit that is flipped shows in the parity, and leaves a character that is text as often as not.
        text = e.characters.even_of_rest > 0.9985
    return failing(e) and text and e.uart.framing < 0.01 and e.characters.nul < 0.001


def pure(e: Evidence) -> bool:
    """Tell whether all that arrives is as it was sent, whatever may be missing."""
    # Without a good telegram to compare with, values that change look like flipped bits.
    flips = e.harm.flips
    flipped = flips > e.harm.gaps or e.harm.foreign + e.harm.garbled > 0.2 * e.harm.lost
    # So many flipped bits would have made something of a character that is no text.
    apparent = e.characters.printable == 1 and e.harm.gaps and (flips > 7 or e.harm.lost > 20 * flips)
    return (
        clean(e)
        and (not e.telegrams.accepted or apparent or not flipped)
        and (e.bursts.stray <= 2 or e.characters.printable == 1)
    )


def few_marks(e: Evidence) -> bool:
    """Tell whether framing errors are rare enough for flipped bits to be what is wrong; a packet marks all it holds."""
    return e.uart.framing < (0.9 if e.line.marks == "packet" else 0.15)


def only_up(e: Evidence, least: int) -> bool:
    """Tell whether at least so many bits were flipped from 0 to 1, and hardly any the other way."""
    return failing(e) and e.harm.up >= least and e.harm.down <= 0.05 * e.harm.up + 0.2 * e.harm.garbled


def _only_down(e: Evidence, least: int) -> bool:
    return failing(e) and e.harm.down >= least and e.harm.up <= 0.05 * e.harm.down + 0.2 * e.harm.garbled


def zeros_short(e: Evidence, least: int) -> bool:
    """Tell whether all flipped bits are zeros that came before a one: the line falls too late."""
    return only_up(e, least) and e.harm.up_before_one > 0.9 * e.harm.up and few_marks(e)


def ones_short(e: Evidence, least: int) -> bool:
    """Tell whether all flipped bits are ones that came after a zero: the line rises too late."""
    return _only_down(e, least) and e.harm.down_after_zero > 0.9 * e.harm.down


def breaks_like_mains(e: Evidence) -> bool:
    """Tell whether there are as many breaks in a second as the mains have periods, or a multiple."""
    periods = e.break_rate / 50
    return e.uart.breaks > 500 and periods > 0.5 and abs(periods - round(periods)) < 0.02
