"""A recorded stream of bytes, read again."""

from __future__ import annotations

import math
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from p1_exporter.link.address import recording
from p1_exporter.link.port import (
    BITS_PER_CHARACTER,
    GATHER_SECONDS,
    READ_LIMIT,
    Chunk,
    EndOfInput,
    Port,
    PortError,
)

if TYPE_CHECKING:
    from p1_exporter.link.port import PortSettings, Reason


class ReplayPort(Port):
    """A recording, so many times faster than the line it came over. It has an end."""

    def __init__(self, settings: PortSettings, file: BinaryIO, speed: float) -> None:
        super().__init__(settings, "replay")
        self._file = file
        bytes_per_second = self.baudrate / BITS_PER_CHARACTER * speed
        self._paced = math.isfinite(bytes_per_second)
        self._seconds_per_byte = 1 / bytes_per_second
        self._piece_size = int(max(1, min(READ_LIMIT, bytes_per_second * GATHER_SECONDS)))
        # When the next byte begins to arrive.
        self._next_byte = time.monotonic()

    def _read(self, timeout: float) -> Chunk | None:
        remaining = self._next_byte + self._piece_size * self._seconds_per_byte - time.monotonic()
        if self._waker.wait(min(remaining, timeout)) or remaining > timeout:
            return None
        data = self._file.read(self._piece_size)
        if not data:
            raise EndOfInput
        first_byte = self._next_byte if self._paced else time.monotonic()
        self._next_byte += len(data) * self._seconds_per_byte
        return Chunk(first_byte, data)

    def _close(self) -> None:
        self._file.close()


def open_replay(settings: PortSettings) -> ReplayPort:
    """Open `file:///path`.

    Raises:
        PortError: no such file, or no plain file.
        UserError: the URL is not complete.
    """
    path, speed = recording(settings.url)
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise PortError("settings", f"{path} is no plain file. Give the path of a recording.")
        file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - the port closes it
    except (OSError, ValueError) as error:
        raise PortError(_reason(error), f"{path} cannot be replayed: {error}.") from error
    return ReplayPort(settings, file, speed)


def _reason(error: OSError | ValueError) -> Reason:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return "missing"
        case PermissionError():
            return "forbidden"
        case _:
            return "other"
