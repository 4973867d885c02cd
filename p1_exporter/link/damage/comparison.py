"""A rejected telegram beside what is known: lined up, and explained."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.damage.alignment import Alignment, align
from p1_exporter.link.damage.explanation import Explanation, explain
from p1_exporter.link.damage.template import Template, template_of

if TYPE_CHECKING:
    from p1_exporter.link.damage.alignment import Gap

_AGAIN: Final = 0.3
"""Effort for another alignment of the same telegram."""
_WHOLE_LINES: Final = re.compile(rb"(?:[0-9]{1,3}-[0-9]{1,3}:[0-9A-Za-z.*]{3,15}(?:\([ -'*-~]*\))+\r\n)+")


class Comparison(NamedTuple):
    """A rejected telegram, and what of it stands for what of a known one."""

    received: bytes
    template: Template
    alignment: Alignment

    @property
    def gaps(self) -> list[Gap]:
        """Where bytes are missing or foreign."""
        return list(self.alignment.gaps(len(self.received)))

    @property
    def amiss(self) -> int:
        """How many bytes are missing or foreign."""
        return sum(gap.foreign + gap.lost for gap in self.gaps)

    @property
    def alike(self) -> bool:
        """Whether it is that telegram at all."""
        return self.alignment.alike(self.received, self.template)

    def explained(self, *, trusted: bool) -> tuple[Comparison, Explanation]:
        """Return what was sent, and the comparison with it.

        Lines come and go. New ones are not foreign if they are whole; those that are missing were lost, unless the
        checksum says that they were not sent. `trusted` is as for `explain`.
        """
        found = self._with_new_lines()
        explanation = explain(found.received, found.template, found.alignment, trusted=trusted)
        shorter = None if explanation.confirmed else found._without_missing_lines()  # noqa: SLF001 - one of us
        if shorter:
            other = explain(shorter.received, shorter.template, shorter.alignment, trusted=trusted)
            if other.confirmed:
                return shorter, other
        return found, explanation

    def _with_new_lines(self) -> Comparison:
        text = self.template.text
        for gap in reversed(self.gaps):
            new = self.received[gap.received : gap.received + gap.foreign]
            if not gap.lost and gap.known <= len(text) and _WHOLE_LINES.fullmatch(new):
                text = text[: gap.known] + new + text[gap.known :]
        return self._with(text) if text != self.template.text else self

    def _without_missing_lines(self) -> Comparison | None:
        text = self.template.text
        for gap in reversed(self.gaps):
            end = gap.known + gap.lost
            if not gap.foreign and end <= len(text) and _WHOLE_LINES.fullmatch(text[gap.known : end]):
                text = text[: gap.known] + text[end:]
        return self._with(text) if text != self.template.text else None

    def _with(self, text: bytes) -> Comparison:
        return compare(self.received, replace(template_of(text), checksum=self.template.checksum), _AGAIN)


def compare(received: bytes, template: Template, effort: float = 1.0) -> Comparison:
    """Line a telegram up with what is known; the `effort` is as for `align`."""
    return Comparison(received, template, align(received, template, effort))
