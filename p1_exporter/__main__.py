"""The command `p1-exporter`, also as ``python -m p1_exporter``."""

from __future__ import annotations

import sys

from p1_exporter.cli import main

if __name__ == "__main__":
    sys.exit(main())
