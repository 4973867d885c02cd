"""What happened to a rejected telegram: CPU time for finding out, for usual damage and for the worst there can be."""

from __future__ import annotations

import gc
import random
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from p1_exporter.link.damage.analysis import DamageAnalysis
from p1_exporter.telegram.crc import ARC
from p1_exporter.telegram.framer import MAX_TELEGRAM
from tests.benchmarks.measure import Figure, figure
from tests.benchmarks.stream import telegrams
from tests.benchmarks.table import show_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_COUNT: Final = 30
_MILLISECONDS: Final = 1e3
_KNOWN: Final = 3


class _Case(NamedTuple):
    accepted: Sequence[bytes]
    sent: bytes


def show_damage() -> None:
    """Measure and print."""
    rows = [
        (
            f"{name}, {harm}",
            str(len(case.sent)),
            _measured(case.accepted, case.sent, _HARMS[harm]).shown(_MILLISECONDS),
        )
        for name, case in _cases().items()
        for harm in _HARMS
    ]
    rows += [
        (f"never accepted, {harm}", str(len(sent)), _measured((), sent, _HARMS[harm]).shown(_MILLISECONDS))
        for sent in (telegrams()[0][0], _long(numbered=True)[:3072])
        for harm in _HARMS
    ]
    show_table(
        f"CPU time for finding what happened to a rejected telegram, in ms; median (range) of {_COUNT} telegrams\n"
        "(20 ms at most)",
        ("", "bytes", "ms"),
        rows,
    )


def _cases() -> dict[str, _Case]:
    usual = telegrams()[0]
    cases = {
        "usual": _Case(usual[:_KNOWN], usual[_KNOWN]),
        "an hour old": _Case(usual[:_KNOWN], telegrams()[-1][-1]),
    }
    for name, text in (
        ("long, lines differ", _long(numbered=True)),
        ("long, lines alike", _long(numbered=False)),
        ("long, all the same", _sealed(b"0" * (MAX_TELEGRAM - 20))),
        ("long, times", _sealed(b"1-0:1.6.0" + b"(260101000000W)" * 760)),
    ):
        cases[name] = _Case([text] * _KNOWN, text)
    return cases


def _long(*, numbered: bool) -> bytes:
    return _sealed(
        b"\r\n".join(b"1-0:%d.8.%d(%06d.000*kWh)" % (code % 250, code // 250, code) for code in range(425))
        if numbered
        else b"\r\n".join([b"1-0:1.8.0(000000.000*kWh)"] * 425)
    )


def _sealed(body: bytes) -> bytes:
    text = b"/TST5 LONG\r\n\r\n" + body + b"\r\n!"
    return text + b"%04X\r\n" % ARC.of(text)


def _flips(share: float) -> Callable[[bytes, random.Random], bytes]:
    return lambda sent, rng: bytes(
        byte ^ (1 << rng.randrange(8) if rng.random() < share else 0) for byte in sent
    )


def _losses(share: float) -> Callable[[bytes, random.Random], bytes]:
    return lambda sent, rng: bytes(byte for byte in sent if rng.random() >= share)


def _shuffled(sent: bytes, rng: random.Random) -> bytes:
    lines = sent.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines)


_HARMS: Final[dict[str, Callable[[bytes, random.Random], bytes]]] = {
    "few flips": _flips(0.003),
    "many flips": _flips(0.3),
    "few bytes lost": _losses(0.003),
    "many bytes lost": _losses(0.05),
    "flips and losses": lambda sent, rng: _losses(0.03)(_flips(0.1)(sent, rng), rng),
    "lines shuffled": _shuffled,
    "anything": lambda _, rng: rng.randbytes(MAX_TELEGRAM),
    "text of digits": lambda _, rng: bytes(rng.choices(b"0123456789.:()*-\r\n", k=MAX_TELEGRAM)),
}


def _measured(
    accepted: Sequence[bytes], sent: bytes, harm: Callable[[bytes, random.Random], bytes]
) -> Figure:
    rng = random.Random(1)
    analysis = DamageAnalysis()
    for telegram in accepted:
        analysis.learn(telegram)
    taken = []
    for _ in range(_COUNT):
        received = harm(sent, rng)
        gc.collect()
        began = time.process_time()
        analysis.analyse(received)
        taken.append(time.process_time() - began)
    return figure(taken)
