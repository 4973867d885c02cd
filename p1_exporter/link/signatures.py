"""The signatures of line faults: how each shows in the evidence.

Rows stand in the order in which they exclude each other: the first that holds is the fault of its layer. To teach the
program another fault, add a row here and an entry in `faults.toml`. The bounds lie between the medians measured for
the fault and those of its neighbours. A confidence below 0.8 says that another fault may look the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from p1_exporter.link.evidence import Evidence


class Signature(NamedTuple):
    """A row of the table."""

    fault: str
    confidence: float
    """How sure one can be, 0 to 1."""
    seen: str
    """What one sees, in words."""
    holds: Callable[[Evidence], bool]


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
    bad = e.telegrams.accidents + e.telegrams.missed
    return (
        silent(e)
        or (bad > 1 and e.telegrams.intact < 0.97)
        or _babble(e)
        or e.uart.framing > 0.3
        or e.uart.parity > 0.2
        or e.uart.taken > 0.04
        or (e.load > 0.5 and e.characters.nul > 0.5)
        or (not e.telegrams.accepted and (e.bursts.main > 1 or e.size > 500))
    )


def _failing(e: Evidence) -> bool:
    return e.telegrams.accidents + e.telegrams.missed > 1


def _babble(e: Evidence) -> bool:
    """Tell whether so much arrives between the telegrams that the line cannot be at rest there."""
    return e.bursts.stray > _MUCH_STRAY and e.characters.printable < 0.9998


def _nothing_understood(e: Evidence) -> bool:
    return not e.telegrams.accepted and e.bursts.main > 1


def _broken_lines(e: Evidence) -> float:
    """Return how many lines are broken in each telegram: where it is cut at one place, that is one."""
    return (1 - e.lines.whole) * e.lines.number / max(e.bursts.main, 1)


def _text_gone(e: Evidence) -> bool:
    return not e.telegrams.accepted and e.text.as_sent < 0.1 and e.lines.whole < 0.5


def _text_good(e: Evidence) -> bool:
    return e.text.as_sent > 0.5 or e.text.top_bit > 0.5


def _clean(e: Evidence) -> bool:
    """Tell whether what arrives is all text, and the UART has nothing against it."""
    text = e.characters.printable > 0.997 or e.lines.whole > 0.995
    if e.characters.seven_bit:
        # A bit that is flipped shows in the parity, and leaves a character that is text as often as not.
        text = e.characters.even_of_rest > 0.9985
    return _failing(e) and text and e.uart.framing < 0.01 and e.characters.nul < 0.001


def _pure(e: Evidence) -> bool:
    """Tell whether all that arrives is as it was sent, whatever may be missing."""
    # Without a good telegram to compare with, values that change look like flipped bits.
    flips = e.harm.up + e.harm.down + e.harm.garbled
    flipped = flips > e.harm.gaps or e.harm.foreign + e.harm.garbled > 0.2 * e.harm.lost
    # So many flipped bits would have made something of a character that is no text.
    apparent = e.characters.printable == 1 and e.harm.gaps and (flips > 7 or e.harm.lost > 20 * flips)
    return (
        _clean(e)
        and (not e.telegrams.accepted or apparent or not flipped)
        and (e.bursts.stray <= 2 or e.characters.printable == 1)
    )


def _missing(e: Evidence) -> bool:
    """Tell whether characters are missing, and nothing else is wrong."""
    bad = e.telegrams.failed + e.telegrams.missed
    # Two bad telegrams may be two accidents, but not if there are more holes than telegrams.
    often = bad > 2 or (bad > 1 and e.harm.gaps > bad)
    # What is missing makes no other characters of those that are left.
    untouched = e.characters.seven_bit or e.characters.printable > 0.9995
    return (
        _pure(e)
        and untouched
        and often
        and (e.harm.lost > 0 or (not e.harm.examined and e.lines.whole < 0.97))
    )


def _remains(e: Evidence) -> bool:
    """Tell whether a few characters are left of each telegram."""
    return _nothing_understood(e) and e.bursts.main > 3 and e.bursts.size < 40 and e.bursts.regularity > 0.6


def _excess(e: Evidence, distorted: float) -> float:
    """Return how much more reads as text if a distortion is allowed for."""
    return distorted - e.text.as_sent


def _few_marks(e: Evidence) -> bool:
    """Tell whether framing errors are rare enough for flipped bits to be what is wrong; a packet marks all it holds."""
    return e.uart.framing < (0.9 if e.line.marks == "packet" else 0.15)


def _only_up(e: Evidence, least: int) -> bool:
    return _failing(e) and e.harm.up >= least and e.harm.down <= 0.05 * e.harm.up + 0.2 * e.harm.garbled


def _only_down(e: Evidence, least: int) -> bool:
    return _failing(e) and e.harm.down >= least and e.harm.up <= 0.05 * e.harm.down + 0.2 * e.harm.garbled


def _zeros_short(e: Evidence, least: int) -> bool:
    return _only_up(e, least) and e.harm.up_before_one > 0.9 * e.harm.up and _few_marks(e)


def _ones_short(e: Evidence, least: int) -> bool:
    return _only_down(e, least) and e.harm.down_after_zero > 0.9 * e.harm.down


def _late_starts(e: Evidence) -> bool:
    """Tell whether a software UART has missed start bits: it knows no framing errors."""
    often = e.characters.high > 0.01 and e.characters.high_of_late_starts > 0.18
    mostly = e.characters.high > 0.002 and e.characters.high_of_late_starts > 0.4
    shifted = e.harm.shifted > max(4, (e.harm.up + e.harm.down) / 2)
    # Of a UART that tells nothing, only a line that is still between telegrams is beyond suspicion.
    still = e.uart.tells_breaks or (not e.characters.nul and e.bursts.stray <= 2 and e.bursts.idle > 0.5)
    unmarked = e.uart.framing < 0.0005 and still
    return _failing(e) and (often or mostly or shifted) and unmarked and not _text_gone(e)


def _in_each_period(e: Evidence) -> bool:
    """Tell whether there were nearly as many breaks as the mains have periods."""
    return e.characters.nul * e.size > 40 * e.seconds


def _steady_breaks(e: Evidence) -> bool:
    """Tell whether breaks come as evenly as the mains make them, and not by fits and starts as a contact does."""
    in_step = e.bursts.nul_variation < 0.7 and e.harm.mains > 0.6 and e.bursts.stray < 5
    return e.bursts.nul_variation < 0.4 or in_step or _breaks_like_mains(e)


def _breaks_like_mains(e: Evidence) -> bool:
    """Tell whether there are as many breaks in a second as the mains have periods, or a multiple."""
    periods = e.break_rate / 50
    return e.uart.breaks > 500 and periods > 0.5 and abs(periods - round(periods)) < 0.02


def _marked_throughout(e: Evidence) -> bool:
    """Tell whether the receiver is out of step in nearly every character, and no text is left."""
    often = e.uart.framing > (0.95 if e.line.marks == "packet" else 0.6)
    return _text_gone(e) and often and e.characters.nul < 0.1 and e.uart.breaks < 2 * e.bursts.main


def _at_the_ends(e: Evidence) -> bool:
    """Tell whether little but beginnings and ends is missing, in those telegrams that were looked into.

    Wrong bits at a cut look like more of the telegram, so one gap a telegram may be a cut as well.
    """
    return e.harm.gaps <= 1.5 * max(e.harm.tails + e.harm.heads, e.harm.examined)


def _begins_late(e: Evidence) -> bool:
    """Tell whether beginnings of telegrams are missing and their ends are not."""
    cut = e.bursts.whole_endings > 0.75 and e.bursts.whole_beginnings < 0.7 and _broken_lines(e) < 2.5
    telegrams = e.bursts.main > max(3, 3 * e.bursts.stray)
    return _failing(e) and telegrams and cut and e.characters.nul < 0.01 and _few_marks(e)


def _contact(e: Evidence) -> bool:
    """Tell whether a line goes low and comes back, at any time, with good text in between."""
    often = e.characters.nul > 0.01 and e.bursts.idle < 0.8
    return often and e.text.as_sent > 0.1 and e.telegrams.intact < 0.95


def _more_than_the_last_bit(e: Evidence) -> bool:
    """Tell whether bits are wrong at other places too than where a clock that is off has them wrong first."""
    return e.harm.up > e.harm.up_at_top


# What this computer does with what it received: proven by counters, whatever the wire may be like.
_COMPUTER: Final = (
    Signature(
        "overrun",
        0.95,
        "the UART or the kernel counted characters that it had to drop",
        lambda e: e.uart.overruns + e.uart.buffer_overruns > 0 and _failing(e),
    ),
    Signature(
        "second_reader",
        0.95,
        "the port received more bytes than this program could read",
        lambda e: e.uart.taken > 0.05,
    ),
)

_SILENCE: Final = (
    Signature(
        "stuck_low",
        0.9,
        "one break, then nothing: the receiving pin is low",
        lambda e: silent(e) and e.uart.tells_breaks and (e.ends_low or (not e.size and e.uart.breaks > 0)),
    ),
    Signature("stuck_low", 0.6, "a single NUL, then nothing", lambda e: silent(e) and e.ends_low),
    Signature(
        "silent",
        0.9,
        "no byte arrives, and the receiving pin is not low",
        lambda e: silent(e) and (e.uart.tells_breaks or e.line.mini_uart),
    ),
    Signature("silent", 0.6, "no byte arrives", silent),
)

_FLOOD: Final = (
    Signature(
        "inverted",
        0.85,
        "NULs without end, and once in each interval something else",
        lambda e: e.load > 0.9 and 0.9 < e.characters.nul < 0.998 and not e.telegrams.accepted,
    ),
    Signature(
        "stuck_low",
        0.9,
        "NULs without end: the receiving pin is low",
        lambda e: (
            e.load > 0.5
            and (e.characters.nul > 0.985 or (e.characters.nul > 0.9 and e.telegrams.intact > 0.5))
        ),
    ),
)

# Text that has gone through something that can be undone, or has left no text at all.
_DISTORTED: Final = (
    Signature(
        "hum",
        0.9,
        "what arrives between the telegrams keeps step with the mains",
        lambda e: _failing(e) and e.bursts.mains > 0.27 and e.load < 0.9,
    ),
    Signature(
        "inverted",
        0.95,
        "turned round bit by bit, the bytes are P1 text",
        lambda e: _text_gone(e) and e.text.inverted > 0.2,
    ),
    Signature(
        "slow_rise",
        0.85,
        "a break or two in place of each telegram: the pin falls with it and does not rise again",
        lambda e: _remains(e) and e.characters.nul > 0.8,
    ),
    Signature(
        "slow_fall",
        0.85,
        "a few characters of ones in place of each telegram: the pin hardly falls",
        lambda e: _remains(e) and e.characters.high > 0.9,
    ),
    Signature(
        "slow_rise",
        0.85,
        "nothing but breaks in place of each telegram: the pin does not rise in time",
        lambda e: (
            _nothing_understood(e)
            and e.characters.nul > 0.9
            and 0 < e.bursts.period < 5
            and e.bursts.regularity > 0.6
        ),
    ),
    Signature(
        "wrong_speed",
        0.95,
        "nothing but NULs, in bursts that last too long",
        lambda e: (
            _nothing_understood(e)
            and e.characters.nul > 0.9
            and (e.bursts.size > 600 or e.bursts.seconds > 0.25)
            and (e.bursts.regularity > 0.5 or e.bursts.main < 3)
        ),
    ),
    Signature(
        "wrong_speed",
        0.85,
        "NULs and characters with the top bit, in bursts",
        lambda e: (
            _text_gone(e)
            and e.characters.nul > 0.5
            and e.characters.high_of_rest > 0.95
            and e.bursts.idle > 0.5
        ),
    ),
    Signature(
        "wrong_speed",
        0.9,
        "bursts of a few characters where a telegram has hundreds",
        lambda e: (
            _text_gone(e)
            and e.bursts.main > 1
            and e.bursts.idle > 0.5
            and e.bursts.stray < e.bursts.main
            and e.bursts.size < 150
            and e.bursts.seconds < 0.6
            and e.characters.nul < 0.1
            and e.characters.high < 0.9
        ),
    ),
    Signature(
        "wrong_format",
        0.9,
        "parity errors on half of the characters, and perfect text",
        lambda e: e.uart.parity > 0.2 and _text_good(e),
    ),
    Signature(
        "wrong_format",
        0.9,
        "framing errors on just the characters with an even number of ones: the stop bit is a parity bit",
        lambda e: (
            e.uart.framing > 0.2
            and e.characters.even_of_marked > 0.95
            and e.characters.high_of_letters < 0.5
            and e.characters.even_of_rest < 0.85
            and e.text.as_sent > 0.2
        ),
    ),
    Signature(
        "wrong_format",
        0.9,
        "the top bit is a parity bit, of a kind that no meter should send",
        lambda e: (
            _nothing_understood(e)
            and e.text.top_bit > 0.5
            and e.characters.high > 0.2
            and not 0.03 < e.characters.even_of_rest < 0.97
        ),
    ),
    Signature(
        "wrong_format",
        0.85,
        "characters with an odd number of ones do not get through",
        lambda e: (
            e.characters.even_of_rest > 0.97 and e.characters.high < 0.02 and 0.2 < e.characters.nul < 0.8
        ),
    ),
    Signature(
        "wrong_format",
        0.8,
        "telegrams begin well, no character has its last bit set, and no line can be read",
        lambda e: (
            _text_gone(e)
            and not e.characters.high
            and not e.characters.nul
            and e.bursts.whole_beginnings > 0.8
            and e.bursts.size > 100
        ),
    ),
    Signature(
        "lost_characters",
        0.9,
        "characters begin one bit late, as in a software UART",
        lambda e: e.text.start_late > 0.1 or _late_starts(e),
    ),
    Signature(
        "clock",
        0.9,
        "framing errors on nearly every character, and good text",
        lambda e: (
            e.uart.framing > (0.9 if e.line.marks == "packet" else 0.3)
            and e.uart.breaks < 2 * e.bursts.main
            and e.text.top_bit > 0.5
        ),
    ),
    Signature(
        "clock",
        0.85,
        "framing errors on nearly every character, and no breaks",
        lambda e: _marked_throughout(e) and e.line.marks == "character",
    ),
    Signature(
        "inverted",
        0.7,
        "text gone, one NUL with each telegram",
        lambda e: (
            _text_gone(e)
            and e.characters.high > 0.5
            and e.bursts.main / 2 < e.characters.nul * e.size < 2 * e.bursts.main
            and e.bursts.idle > 0.5
            and e.bursts.size > 100
        ),
    ),
    Signature(
        "clock",
        0.7,
        "framing errors in every packet, and no breaks",
        _marked_throughout,
    ),
    Signature(
        "clock",
        0.8,
        "every character has its last bit set, as if it were sampled in the stop bit",
        lambda e: _text_gone(e) and e.line.mini_uart and e.characters.high > 0.985,
    ),
    Signature(
        "clock",
        0.8,
        "the last bit of letters is wrong, as if it were sampled in the bit before",
        lambda e: _failing(e) and e.characters.high > 0.005 and e.characters.high_of_letters > 0.9,
    ),
    Signature(
        "lost_characters",
        0.85,
        "telegrams begin well and go wrong, and the UART saw no error: the bits are not what is wrong",
        lambda e: (
            _failing(e)
            and e.text.as_sent < 0.6
            and e.characters.printable < 0.8
            and e.lines.whole < 0.9
            and e.bursts.whole_beginnings > 0.6
            and e.uart.tells_breaks
            and not e.uart.framing
            and not e.uart.breaks
        ),
    ),
    Signature(
        "lost_characters",
        0.6,
        "telegrams begin well and go wrong without a pattern",
        lambda e: (
            _text_gone(e)
            and e.line.marks == "nothing"
            and 0.2 < e.characters.high < 0.6
            and e.bursts.whole_beginnings > 0.8
        ),
    ),
    Signature(
        "clock",
        0.8,
        "the last bits of characters arrive as the ones before them",
        lambda e: _text_gone(e) and e.text.sampled_early > e.text.top_bit + 0.3,
    ),
    Signature(
        "clock",
        0.8,
        "only the last bit of characters is wrong",
        lambda e: (
            _failing(e)
            and _excess(e, e.text.top_bit) > 0.2
            and e.text.fall_late - e.text.top_bit < 0.05
            and e.characters.nul < 0.05
            and e.characters.even_of_rest < 0.9
        ),
    ),
    Signature(
        "slow_rise",
        0.9,
        "ones that follow a zero arrive as zeros",
        lambda e: _excess(e, e.text.rise_late) > 0.2,
    ),
    Signature(
        "slow_fall",
        0.9,
        "zeros that are followed by a one arrive as ones",
        lambda e: _excess(e, e.text.fall_late) > 0.2 and e.characters.nul < 0.05,
    ),
    Signature(
        "hum",
        0.85,
        "breaks all the time, also between telegrams",
        lambda e: (
            e.bursts.idle < 0.4
            and e.characters.nul > 0.1
            and _in_each_period(e)
            and _steady_breaks(e)
            and e.telegrams.intact < 0.5
        ),
    ),
    Signature(
        "intermittent",
        0.85,
        "breaks or NULs at any time, and pieces of telegrams missing",
        lambda e: _contact(e) and e.bursts.stray > 5 and e.bursts.stray_nul > 0.7,
    ),
    Signature(
        "hum",
        0.85,
        "many errors, all in step with the mains",
        lambda e: (
            _failing(e)
            and e.harm.mains > 0.9
            and e.harm.up + e.harm.down > 15
            and e.harm.lost < 10 * (e.harm.up + e.harm.down)
            and not (_pure(e) or _zeros_short(e, 10) or _ones_short(e, 10))
        ),
    ),
    Signature(
        "hum",
        0.6,
        "breaks all the time, without any pause",
        lambda e: (
            e.bursts.idle < 0.01
            and e.characters.nul > 0.1
            and _in_each_period(e)
            and e.telegrams.intact < 0.5
        ),
    ),
    Signature("intermittent", 0.7, "breaks or NULs all the time, and pieces of telegrams missing", _contact),
    Signature(
        "slow_rise",
        0.85,
        "breaks and NULs within the telegrams, and nothing between them",
        lambda e: (
            _text_gone(e)
            and e.characters.nul > 0.1
            and e.characters.high < 0.4
            and e.bursts.idle > 0.5
            and (e.bursts.regularity > 0.5 or e.bursts.main < 3)
        ),
    ),
    Signature(
        "inverted",
        0.8,
        "text gone, one break with each telegram",
        lambda e: (
            _text_gone(e)
            and 0.1 < e.uart.framing < 0.6
            and e.characters.high > 0.5
            and e.bursts.main / 2 < e.uart.breaks < 2 * e.bursts.main
            and e.line.marks == "character"
        ),
    ),
    Signature(
        "slow_fall",
        0.85,
        "text gone, the top bit set in most characters",
        lambda e: (
            _text_gone(e)
            and e.characters.high > (0.88 if e.line.marks == "nothing" else 0.65)
            and e.characters.nul < 0.05
            and _few_marks(e)
        ),
    ),
    Signature(
        "slow_fall",
        0.6,
        "text gone, the top bit set in many characters",
        lambda e: _text_gone(e) and e.characters.high > 0.65 and e.characters.nul < 0.05 and _few_marks(e),
    ),
    Signature(
        "wrong_speed",
        0.7,
        "text gone without a pattern, and the rhythm of telegrams is right",
        lambda e: (
            _text_gone(e)
            and (e.line.mini_uart or e.uart.framing > 0.1)
            and e.characters.nul < 0.1
            and e.bursts.idle > 0.5
        ),
    ),
)

# Text that is perfect as far as it came.
_PURE: Final = (
    Signature(
        "checksum",
        0.9,
        "nothing is wrong in the text, and the checksum never fits",
        lambda e: _pure(e) and not e.telegrams.accepted and e.telegrams.failed > 2 and e.lines.whole > 0.995,
    ),
    Signature(
        "request_drop",
        0.85,
        "the end of each bad telegram is missing, or its beginning, and nothing else",
        lambda e: _clean(e) and e.harm.examined > 1 and e.harm.tails + e.harm.heads == e.harm.examined,
    ),
    Signature(
        "request_drop",
        0.85,
        "telegrams break off, and what arrives of them is perfect",
        lambda e: (
            _clean(e)
            and e.bursts.whole_beginnings > 0.8
            and e.bursts.whole_endings < 0.7
            and e.bursts.main > 1
            and _broken_lines(e) < 1.1
            and _at_the_ends(e)
        ),
    ),
    Signature(
        "request_drop",
        0.85,
        "telegrams begin late, and what arrives of them is perfect",
        lambda e: _begins_late(e) and e.bursts.whole_beginnings < 0.5 and _at_the_ends(e),
    ),
    Signature(
        "request_drop", 0.6, "telegrams begin late at times", lambda e: _begins_late(e) and _at_the_ends(e)
    ),
    Signature(
        "request_drop",
        0.85,
        "telegrams break off and begin anew",
        lambda e: (
            _clean(e) and e.telegrams.truncated > 0.7 * e.telegrams.failed and e.bursts.whole_endings > 0.8
        ),
    ),
    Signature(
        "second_reader",
        0.85,
        "characters are missing that the UART has received",
        lambda e: _pure(e) and e.uart.taken > 0.0005 and (e.harm.lost > 0 or e.lines.whole < 0.995),
    ),
    Signature(
        "lost_characters",
        0.85,
        "characters are missing with no trace in the UART, and what arrives is perfect",
        lambda e: _missing(e) and (e.uart.tells_losses or e.line.network),
    ),
    Signature("lost_characters", 0.6, "characters are missing, and what arrives is perfect", _missing),
)

_FLIPPED: Final = (
    Signature(
        "slow_fall",
        0.85,
        "zeros that are followed by a one arrive as ones",
        lambda e: _zeros_short(e, 10) and _more_than_the_last_bit(e),
    ),
    Signature("slow_rise", 0.85, "ones that follow a zero arrive as zeros", lambda e: _ones_short(e, 10)),
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
        lambda e: _babble(e) and e.characters.nul < 0.2,
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
        lambda e: _only_up(e, 6) and e.harm.up_at_top_after_one > 0.95 * e.harm.up,
    ),
    Signature(
        "slow_rise",
        0.7,
        "ones that follow a zero arrive as zeros at times",
        lambda e: _failing(e) and e.text.rise_late > 1.1 * e.text.as_sent + 0.05,
    ),
    Signature(
        "slow_fall",
        0.7,
        "zeros that are followed by a one arrive as ones at times",
        lambda e: (
            _failing(e)
            and e.text.fall_late > 1.2 * e.text.as_sent + 0.08
            and _few_marks(e)
            and e.characters.nul < 0.05
        ),
    ),
    Signature(
        "slow_fall",
        0.85,
        "characters that digits and line ends become when zeros arrive too short",
        lambda e: (
            _failing(e)
            and e.characters.high > 0.005
            and e.characters.high_of_short_zeros > 0.5
            and _few_marks(e)
        ),
    ),
    Signature(
        "slow_fall", 0.7, "zeros that are followed by a one arrive as ones", lambda e: _zeros_short(e, 4)
    ),
    Signature("slow_rise", 0.7, "ones that follow a zero arrive as zeros", lambda e: _ones_short(e, 4)),
    # One flip in sixty or so is of that kind by chance.
    Signature(
        "clock",
        0.6,
        "a few bits flipped, all of them the last of their character, and like the one before it",
        lambda e: _only_up(e, 2) and e.harm.up_at_top_after_one == e.harm.up,
    ),
    Signature(
        "noise",
        0.85,
        "bits flipped without a pattern",
        lambda e: (
            _failing(e)
            and e.harm.up + e.harm.down > 5
            and 0.05 * e.harm.up < e.harm.down < 20 * e.harm.up
            and _few_marks(e)
            and e.harm.foreign + e.harm.garbled < 0.5 * (e.harm.up + e.harm.down)
        ),
    ),
    Signature(
        "noise",
        0.6,
        "bits flipped",
        lambda e: _failing(e) and e.harm.up + e.harm.down > 1 and _few_marks(e),
    ),
    Signature(
        "hum",
        0.6,
        "as many breaks a second as the mains have periods",
        lambda e: _failing(e) and _breaks_like_mains(e),
    ),
)

LAYERS: Final = (_COMPUTER, _SILENCE + _FLOOD + _DISTORTED + _PURE + _FLIPPED)
"""Signatures in two layers: what the computer does, and what the line is like."""
