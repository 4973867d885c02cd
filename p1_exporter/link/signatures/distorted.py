"""Text that has gone through something that can be undone, or has left no text at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p1_exporter.link.signatures.row import Signature
from p1_exporter.link.signatures.signs import (
    breaks_like_mains,
    failing,
    few_marks,
    nothing_understood,
    ones_short,
    pure,
    text_gone,
    zeros_short,
)

if TYPE_CHECKING:
    from p1_exporter.link.evidence import Evidence


def _text_good(e: Evidence) -> bool:
    return e.text.as_sent > 0.5 or e.text.top_bit > 0.5


def _remains(e: Evidence) -> bool:
    """Tell whether a few characters are left of each telegram."""
    return nothing_understood(e) and e.bursts.main > 3 and e.bursts.size < 40 and e.bursts.regularity > 0.6


def _excess(e: Evidence, distorted: float) -> float:
    """Return how much more reads as text if a distortion is allowed for."""
    return distorted - e.text.as_sent


def _late_starts(e: Evidence) -> bool:
    """Tell whether a software UART has missed start bits: it knows no framing errors."""
    often = e.characters.high > 0.01 and e.characters.high_of_late_starts > 0.18
    mostly = e.characters.high > 0.002 and e.characters.high_of_late_starts > 0.4
    shifted = e.harm.shifted > max(4, (e.harm.up + e.harm.down) / 2) or (
        e.harm.shifted > 1 and not e.harm.flips
    )
    # Of a UART that tells nothing, only a line that is still between telegrams is beyond suspicion.
    still = e.uart.tells_breaks or (not e.characters.nul and e.bursts.stray <= 2 and e.bursts.idle > 0.5)
    unmarked = e.uart.framing < 0.0005 and still
    return failing(e) and (often or mostly or shifted) and unmarked and not text_gone(e)


def _in_each_period(e: Evidence) -> bool:
    """Tell whether there were nearly as many breaks as the mains have periods."""
    return e.characters.nul * e.size > 40 * e.seconds


def _steady_breaks(e: Evidence) -> bool:
    """Tell whether breaks come as evenly as the mains make them, and not by fits and starts as a contact does."""
    in_step = e.bursts.nul_variation < 0.7 and e.harm.mains > 0.6 and e.bursts.stray < 5
    return e.bursts.nul_variation < 0.4 or in_step or breaks_like_mains(e)


def _marked_throughout(e: Evidence) -> bool:
    """Tell whether the receiver is out of step in nearly every character, and no text is left."""
    often = e.uart.framing > (0.95 if e.line.marks == "packet" else 0.6)
    return text_gone(e) and often and e.characters.nul < 0.1 and e.uart.breaks < 2 * e.bursts.main


def _contact(e: Evidence) -> bool:
    """Tell whether a line goes low and comes back, at any time, with good text in between."""
    often = e.characters.nul > 0.01 and e.bursts.idle < 0.8
    return often and e.text.as_sent > 0.1 and e.telegrams.intact < 0.95


DISTORTED: Final = (
    Signature(
        "hum",
        0.9,
        "what arrives between the telegrams keeps step with the mains",
        lambda e: failing(e) and e.bursts.mains > 0.27 and e.load < 0.9,
    ),
    Signature(
        "inverted",
        0.95,
        "turned round bit by bit, the bytes are P1 text",
        lambda e: text_gone(e) and e.text.inverted > 0.2,
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
            nothing_understood(e)
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
            nothing_understood(e)
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
            text_gone(e)
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
            text_gone(e)
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
            nothing_understood(e)
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
            text_gone(e)
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
            text_gone(e)
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
        lambda e: text_gone(e) and e.line.mini_uart and e.characters.high > 0.985,
    ),
    Signature(
        "clock",
        0.8,
        "the last bit of letters is wrong, as if it were sampled in the bit before",
        lambda e: failing(e) and e.characters.high > 0.005 and e.characters.high_of_letters > 0.9,
    ),
    Signature(
        "lost_characters",
        0.85,
        "telegrams begin well and go wrong, and the UART saw no error: the bits are not what is wrong",
        lambda e: (
            failing(e)
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
            text_gone(e)
            and e.line.marks == "nothing"
            and 0.2 < e.characters.high < 0.6
            and e.bursts.whole_beginnings > 0.8
        ),
    ),
    Signature(
        "clock",
        0.8,
        "the last bits of characters arrive as the ones before them",
        lambda e: text_gone(e) and e.text.sampled_early > e.text.top_bit + 0.3,
    ),
    Signature(
        "clock",
        0.8,
        "only the last bit of characters is wrong",
        lambda e: (
            failing(e)
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
            failing(e)
            and e.harm.mains > 0.9
            and e.harm.up + e.harm.down > 15
            and e.harm.lost < 10 * (e.harm.up + e.harm.down)
            and not (pure(e) or zeros_short(e, 10) or ones_short(e, 10))
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
            text_gone(e)
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
            text_gone(e)
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
            text_gone(e)
            and e.characters.high > (0.88 if e.line.marks == "nothing" else 0.65)
            and e.characters.nul < 0.05
            and few_marks(e)
        ),
    ),
    Signature(
        "slow_fall",
        0.6,
        "text gone, the top bit set in many characters",
        lambda e: text_gone(e) and e.characters.high > 0.65 and e.characters.nul < 0.05 and few_marks(e),
    ),
    Signature(
        "wrong_speed",
        0.7,
        "text gone without a pattern, and the rhythm of telegrams is right",
        lambda e: (
            text_gone(e)
            and (e.line.mini_uart or e.uart.framing > 0.1)
            and e.characters.nul < 0.1
            and e.bursts.idle > 0.5
        ),
    ),
)
