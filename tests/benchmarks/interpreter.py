"""Which Python the whole process is measured with: Debian's own, if Debian's libraries are there for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from tests.benchmarks.measure import CannotMeasureError

CHECKOUT: Final = Path(__file__).parents[2]

_DEBIAN: Final = "/usr/bin/python3"
_PACKAGES: Final = "/usr/lib/python3/dist-packages"
_LIBRARIES: Final = {
    "serial": "pyserial",
    "prometheus_client": "prometheus-client",
    "structlog": "structlog",
    "yaml": "PyYAML",
}
# The version of Python; of each library its version, and the folder that it was found in.
_QUESTION: Final = """
import importlib, importlib.metadata, json, pathlib, platform, sys
answer = {"python": platform.python_version()}
for module, name in json.loads(sys.argv[1]).items():
    place = pathlib.Path(importlib.import_module(module).__file__).parents[1]
    answer[name] = [importlib.metadata.version(name), str(place)]
print(json.dumps(answer))
"""


class Interpreter(NamedTuple):
    """A Python that can run the exporter."""

    command: tuple[str, ...]
    description: str

    def environment(self) -> dict[str, str]:
        """Return an environment in which it finds this checkout, and nothing else that is not its own."""
        return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": str(CHECKOUT)}

    def compile(self) -> None:
        """Compile the exporter, as its installation does: compiling while it starts would count as its memory."""
        self._run("-m", "compileall", "-q", str(CHECKOUT / "p1_exporter"))

    def _run(self, *arguments: str) -> str:
        ended = subprocess.run(
            [*self.command, *arguments], env=self.environment(), capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise CannotMeasureError(f"{self.command[0]} fails: {ended.stderr.strip()}")
        return ended.stdout

    def libraries(self) -> tuple[str, str, bool]:
        """Return the versions of Python and of the libraries, and whether all the latter are Debian's."""
        answer = json.loads(self._run("-c", _QUESTION, json.dumps(_LIBRARIES)))
        python = answer.pop("python")
        names = ", ".join(f"{name} {found}" for name, (found, _) in answer.items())
        return python, names, all(place == _PACKAGES for _, place in answer.values())


def choose() -> Interpreter:
    """Return Debian's Python if it has all libraries from Debian, else the one that runs the benchmarks."""
    debian = Interpreter((_DEBIAN, "-s", "-P"), "")
    try:
        python, libraries, theirs = debian.libraries()
    except (CannotMeasureError, OSError):
        theirs = False
    if theirs:
        return debian._replace(description=f"Debian's Python {python} with Debian's {libraries}")
    own = Interpreter((sys.executable, "-s", "-P"), "")
    python, libraries, _ = own.libraries()
    return own._replace(
        description=f"NOT Debian's libraries, which are not installed here, but {sys.executable}, "
        f"Python {python} with {libraries}"
    )
