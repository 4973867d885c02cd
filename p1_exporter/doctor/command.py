"""`p1-exporter doctor`: first the computer, then the line, then the verdict."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from p1_exporter.doctor import recording
from p1_exporter.doctor.computer import Computer, examine
from p1_exporter.doctor.line import LineExamination, LineLook
from p1_exporter.doctor.report import Report, report
from p1_exporter.doctor.service import ask_service
from p1_exporter.doctor.terminal import Screen, Silence, screen
from p1_exporter.errors import UserError
from p1_exporter.link.circuits import Circuit, usual_circuit
from p1_exporter.link.diagnosis import Diagnosis, disconnected
from p1_exporter.link.port import PortError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from p1_exporter.doctor.finding import Finding
    from p1_exporter.doctor.service import ServiceAnswer
    from p1_exporter.link.port import PortSettings
    from p1_exporter.link.reception import Understanding

HEALTHY: Final = 0
FAULT_FOUND: Final = 1


@dataclass(frozen=True, slots=True)
class Request:
    """What the doctor is asked to do.

    Attributes:
        port: what to look at; None where no port is named and none is found.
        understanding: what it takes to understand the meter.
        circuit: what stands between meter and computer; None for what is usual with the driver.
        addresses: HOST:PORT on which the exporter may be asked.
        seconds: how long to listen; None for as long as it takes to tell.
        as_json: whether to print one JSON object in place of a text.
        record: file to write a capture to.
        replay: capture to look at in place of a port.
        redacted: whether what is recorded is without identities.
    """

    port: PortSettings | None
    understanding: Understanding
    circuit: Circuit | None
    addresses: Sequence[str]
    seconds: float | None
    as_json: bool
    record: Path | None
    replay: Path | None
    redacted: bool


def doctor(request: Request) -> int:
    """Do what is asked, and say what was found; return the exit code.

    Raises:
        UserError: what is asked for cannot be done.
    """
    shown: Screen = Silence() if request.as_json else screen()
    result = _of_capture(request, request.replay) if request.replay else _of_port(request, shown)
    if request.as_json:
        sys.stdout.write(json.dumps(result.as_json()) + "\n")
    shown.report(result)
    return FAULT_FOUND if result.faults else HEALTHY


def _of_capture(request: Request, path: Path) -> Report:
    header, events = recording.load(path)
    if request.record:
        if not request.redacted:
            raise UserError("--record with --replay: only makes sense together with --redact.")
        with _created(request.record) as file:
            recording.write_redacted(file, header, events)
    look = recording.replay(header, events)
    circuit = request.circuit or usual_circuit(header.driver)
    return report(look.diagnoses, look.evidence, circuit, tried=look.tried)


def _of_port(request: Request, shown: Screen) -> Report:
    computer = examine(Computer(), request.port)
    if computer:
        shown.heading("The computer")
        shown.findings(computer)
    if request.port is None:
        return report([disconnected("there is no serial port")], None, request.circuit or "cable", computer)
    shown.heading("The line")
    try:
        look = _look(request, request.port, shown)
    except PortError as error:
        return _of_closed_port(request, request.port, error, shown, computer)
    for sentence in look.tried:
        shown.line(sentence)
    circuit = request.circuit or usual_circuit(look.driver)
    return report(look.diagnoses, look.evidence, circuit, computer, look.tried)


def _look(request: Request, port: PortSettings, shown: Screen) -> LineLook:
    try:
        if request.record is None:
            return LineExamination(port, request.seconds, shown.progress, request.understanding).run()
        with _created(request.record) as file:
            kept = recording.Recording(file, redacted=request.redacted)
            look = LineExamination(port, request.seconds, shown.progress, request.understanding, kept).run()
            kept.finish()
            return look
    finally:
        shown.finish_progress()


def _of_closed_port(
    request: Request, port: PortSettings, error: PortError, shown: Screen, computer: Sequence[Finding]
) -> Report:
    circuit = request.circuit or usual_circuit("tcp" if port.scheme else "unknown")
    answer = ask_service(request.addresses, port.url) if error.reason == "busy" else None
    if answer:
        shown.line(f"The exporter itself reads this port, and was asked at {answer.address}.")
        return _of_service(answer, request.circuit)
    shown.line(str(error))
    if error.reason == "busy":
        taken = Diagnosis("second_reader", 0.95, "another program has the port open")
        return report([taken], None, circuit, computer)
    return report([disconnected(str(error))], None, circuit, computer)


def _of_service(answer: ServiceAnswer, circuit: Circuit | None) -> Report:
    driver = str(answer.status.get("driver", "unknown"))
    found = report(answer.diagnoses, None, circuit or usual_circuit(driver))
    verdict = found.verdict if found.faults else f"The exporter says that the link is {answer.state}."
    return Report(verdict, found.circuit, found.faults, {"service": answer.status})


def _created(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except OSError as error:
        raise UserError(
            f"--record {path}: cannot be written: {error.strerror}. Give a file in a folder that you may write to."
        ) from error
