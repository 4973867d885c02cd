"""`p1-exporter doctor`: first the computer, then the line, then the verdict."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, Final

from p1_exporter.doctor.computer import Computer, examine
from p1_exporter.doctor.line import KEPT_BYTES, LineExamination
from p1_exporter.doctor.recording import Recording, redacted
from p1_exporter.doctor.replay import replay
from p1_exporter.doctor.report import Report, report
from p1_exporter.doctor.service import ask_service
from p1_exporter.doctor.terminal import Screen, Silence, screen
from p1_exporter.errors import UserError
from p1_exporter.link.diagnosis import Diagnosis
from p1_exporter.link.faults import Circuit, usual_circuit
from p1_exporter.link.port import PortError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from p1_exporter.config import Config, MeterConfig
    from p1_exporter.doctor.finding import Finding
    from p1_exporter.link.port import PortSettings
    from p1_exporter.telegram.cipher import Cipher

HEALTHY: Final = 0
FAULT_FOUND: Final = 1
