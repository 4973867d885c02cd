"""`p1-exporter decode`: telegrams from a file or standard input, for people or as JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final, cast
from zoneinfo import ZoneInfo

from p1_exporter.errors import UserError
from p1_exporter.link.record import LinkRecord, LinkSnapshot, PortInfo
from p1_exporter.telegram.acceptance import objection
from p1_exporter.telegram.decoder import Decoded, Decoder
from p1_exporter.telegram.events import Event, Noise, Reason, Rejection, Telegram
from p1_exporter.telegram.framer import Framer
from p1_exporter.telegram.samples import Sample, Samples, samples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

    from p1_exporter.telegram.cipher import Cipher

_READ_SIZE: Final = 64 * 1024


def decode(
    path: Path | None,
    *,
    as_json: bool,
    time_zone: str,
    cipher: Cipher | None = None,
    identities: bool = False,
) -> None:
    """Print every telegram of the file at `path`, standard input if None; good and bad ones, then the sums.

    Raises:
        UserError: The file cannot be read.
    """
    framer = Framer(cipher)
    decoder = Decoder(ZoneInfo(time_zone))
    record = LinkRecord(0.0, PortInfo(""))
    show = _json_telegram if as_json else _table
    for event in _events(path, framer, record):
        if isinstance(event, Noise):
            record.noise(event.size)
            continue
        # An encrypted frame that could not be opened has nothing to read.
        decoded = decoder.decode(event.data) if event.data.startswith(b"/") else Decoded("", (), ())
        rejected = event.reason if isinstance(event, Rejection) else objection(event, decoded)
        if rejected:
            record.rejected(event.offset, event.size, 0.0, rejected)
        else:
            record.accepted(event.offset, event.size, 0.0, 0.0)
        sys.stdout.write(show(event, decoded, samples(decoded, identities=identities), rejected) + "\n")
        sys.stdout.flush()
    sums = record.snapshot(pending_bytes=0, pending=False)
    sys.stdout.write((_json_sums if as_json else _sums)(sums) + "\n")


def _events(path: Path | None, framer: Framer, record: LinkRecord) -> Iterator[Event]:
    for data in _pieces(path):
        record.received(len(data), 0.0)
        yield from framer.receive(data)
    yield from framer.silence()


def _pieces(path: Path | None) -> Iterator[bytes]:
    """Return the input as it comes: what is there is shown at once, also when a live port is piped in."""
    stream = _opened(path)
    try:
        while data := _read(path, stream):
            yield data
    finally:
        if path is not None:
            stream.close()


def _opened(path: Path | None) -> BufferedReader:
    try:
        return cast("BufferedReader", sys.stdin.buffer) if path is None else path.open("rb")
    except (OSError, AttributeError) as error:  # there is no standard input
        raise _unreadable(path, error) from error


def _read(path: Path | None, stream: BufferedReader) -> bytes:
    try:
        return stream.read1(_READ_SIZE)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path | None, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or "it is closed"
    return UserError(
        f"{path or 'standard input'}: cannot be read: {reason}. "
        "Give the path of a file with the bytes of a P1 port, or pipe them in."
    )


def _json_telegram(
    event: Telegram | Rejection, decoded: Decoded, found: Samples, rejected: Reason | None
) -> str:
    telegram = {
        "header": "/" + decoded.header if decoded.header else "",
        "checksum": event.checksum,
        "size": event.size,
        "lines": [
            {
                "obis": line.obis,
                "raw": [group.decode("latin-1") for group in line.raw],
                "samples": [_json_sample(sample) for sample in of_line],
            }
            for line, of_line in zip(decoded.lines, found.by_line, strict=True)
        ],
        "malformed": [malformed._asdict() for malformed in decoded.malformed],
    }
    if found.of_telegram:
        telegram["samples"] = [_json_sample(sample) for sample in found.of_telegram]
    if rejected:
        telegram["rejected"] = rejected
    return json.dumps(telegram)


def _json_sample(sample: Sample) -> dict[str, object]:
    return {"name": sample.name, "labels": dict(sample.labels), "value": sample.value}


def _json_sums(sums: LinkSnapshot) -> str:
    return json.dumps(
        {
            "received_bytes": sums.received_bytes,
            "accepted_bytes": sums.accepted_bytes,
            "dropped_bytes": dict(sums.dropped_bytes),
            "telegrams": sums.telegrams,
            "errors": dict(sums.errors),
        }
    )


def _table(event: Telegram | Rejection, decoded: Decoded, found: Samples, rejected: Reason | None) -> str:
    verdict = f"rejected: {rejected}" if rejected else "accepted"
    lines = [f"/{_printable(decoded.header)}  ({event.size} bytes, checksum {event.checksum}, {verdict})"]
    if isinstance(event, Rejection) and event.why:
        lines.append(f"  {event.why}")
    rows = []
    for line, of_line in zip(decoded.lines, found.by_line, strict=True):
        raw = _printable(" ".join(group.decode("latin-1") for group in line.raw))
        raw = raw if len(raw) <= _RAW_WIDTH else raw[: _RAW_WIDTH - 3] + "..."
        rows += [(line.obis, raw, "")] if not of_line else []
        for number, sample in enumerate(of_line):
            shown = _printable(f"{sample.name}{_labels(sample)} {sample.value:.15g}")
            rows.append((line.obis, raw, shown) if number == 0 else ("", "", shown))
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    lines += [f"  {obis:<{widths[0]}}  {raw:<{widths[1]}}  {shown}".rstrip() for obis, raw, shown in rows]
    lines += [f"  not read: {_printable(line)[:_RAW_WIDTH]}  ({why})" for line, why in decoded.malformed]
    return "\n".join(lines) + "\n"


_RAW_WIDTH: Final = 48


def _labels(sample: Sample) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in sample.labels) + "}" if sample.labels else ""


def _printable(text: str) -> str:
    """Return `text` without anything that could command a terminal."""
    return "".join(character if character.isprintable() else "." for character in text)


def _sums(sums: LinkSnapshot) -> str:
    dropped = ", ".join(f"{count} {reason}" for reason, count in sums.dropped_bytes.items() if count)
    errors = ", ".join(f"{count} {reason}" for reason, count in sums.errors.items() if count)
    return (
        f"{sums.telegrams} telegrams, {sums.accepted} accepted{', rejected: ' + errors if errors else ''}; "
        f"{sums.received_bytes} bytes, {sums.accepted_bytes} in accepted telegrams"
        f"{', others: ' + dropped if dropped else ''}"
    )
