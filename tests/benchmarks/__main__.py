"""Figures, printed side by side: ``python -m tests.benchmarks``, or ``make bench``. Nothing is asserted."""

from __future__ import annotations

import platform
import sys

from tests.benchmarks.machine import description
from tests.benchmarks.measure import CannotMeasureError
from tests.benchmarks.table import show


def main() -> int:
    """Measure everything; return 1 if something could not be measured."""
    show(description(), f"Python {platform.python_version()} ({sys.executable})")
    try:
        from tests.benchmarks.damage import show_damage  # noqa: PLC0415 - with the others
        from tests.benchmarks.decoding import show_decoding  # noqa: PLC0415 - may fail: needs dsmr-parser
        from tests.benchmarks.garbage import show_garbage  # noqa: PLC0415 - with the others
        from tests.benchmarks.process import show_process  # noqa: PLC0415 - with the others

        show_decoding()
        show_garbage()
        show_damage()
        show_process()
    except CannotMeasureError as error:
        sys.stderr.write(f"cannot measure: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
