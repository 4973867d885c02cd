"""Commands of the operating system that tell something: asked with a limit on time and output."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS = 3.0
OUTPUT_LIMIT = 1024 * 1024

# Without a login shell, as under cron, the folders of the system's own tools are missing.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def run_command(command: Sequence[str], seconds: float = SECONDS) -> str | None:
    """What a command writes to its standard output, in the C locale, whatever its exit code.

    Args:
        command: name and arguments; must not change anything.
        seconds: how long it may take.

    Returns:
        At most OUTPUT_LIMIT bytes of text; None where the command does not exist or took too long.
    """
    program = shutil.which(command[0], path=_PATH)
    if program is None:
        return None
    environment = {**os.environ, "LC_ALL": "C", "PATH": _PATH}
    try:
        process = subprocess.Popen(  # noqa: S603 - a fixed command, never words from a user's shell
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
    except OSError:
        return None
    with process:
        try:
            output = _output(process, time.monotonic() + seconds)
        finally:
            process.kill()
    return None if output is None else output.decode(errors="replace")


def _output(process: subprocess.Popen[bytes], deadline: float) -> bytes | None:
    assert process.stdout is not None  # noqa: S101 - for mypy: it was asked for
    output = b""
    while len(output) < OUTPUT_LIMIT:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        part = os.read(process.stdout.fileno(), OUTPUT_LIMIT - len(output))
        if not part:
            break
        output += part
    return output
