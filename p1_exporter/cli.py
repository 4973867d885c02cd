"""The command line: which command was meant, and what its outcome is to the shell."""

from __future__ import annotations

import argparse
import io
import os
import re
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p1_exporter.config import load
from p1_exporter.deferred import defer, withhold
from p1_exporter.errors import UserError
from p1_exporter.flags import FlagParser, add_flags, add_run_flags, add_version_flag

if TYPE_CHECKING:
    from collections.abc import Sequence

USER_ERROR: Final = 2
"""Exit code for flags, files, keys and addresses that cannot work."""

_COMMANDS: Final = {
    "run": "read the meters and serve metrics (also without a command)",
    "doctor": "look at the computer and the line, and say what is wrong and what to do",
    "decode": "show the telegrams of a file or of standard input",
    "simulate": "be a meter, on a pseudo-terminal or a TCP port",
    "check-config": "say what is wrong with flags and file, without touching a port",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` name, those of the process if None; return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Without a command the flags are those of `run`; --help alone is about all commands.
    if not given or (
        given[0] not in _COMMANDS and given[0].startswith("-") and given[0] not in {"-h", "--help"}
    ):
        given.insert(0, "run")
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - stays open until the end
    # What the terminal cannot show is escaped.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _command(given)
    except UserError as error:
        sys.stderr.write(f"p1-exporter: error: {error}\n")
        return USER_ERROR
    except BrokenPipeError:
        _discard_output()  # whoever reads it has seen enough
        return 0
    except OSError as error:
        _discard_output()
        sys.stderr.write(f"p1-exporter: error: standard output: cannot be written: {error.strerror}.\n")
        return USER_ERROR
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _command(given: Sequence[str]) -> int:
    try:
        flags = _parser(given[0]).parse_args(given)
        return _RUNNERS[flags.command](flags)
    finally:
        # Here, where a failure is dealt with: at exit it would only be complained about.
        sys.stdout.flush()


def _discard_output() -> None:
    """Let what is still buffered go nowhere, so that it does not fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser(given: str) -> FlagParser:
    """Return the parser for all commands, with the flags of the one that is `given`: flags take memory for good."""
    parser = FlagParser(
        prog="p1-exporter",
        description="Prometheus exporter for the P1 port of smart meters.",
        usage="%(prog)s COMMAND [FLAG ...]",
    )
    add_version_flag(parser)
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True, prog=parser.prog
    )
    for name, help_ in _COMMANDS.items():
        command = commands.add_parser(name, help=help_, description=help_)
        if name == given:
            _ADD_FLAGS[name](command)
    return parser


def _add_doctor_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("doctor")
    group.add_argument("--json", action="store_true", help="print one JSON object, for scripts")
    group.add_argument(
        "--computer",
        action="store_true",
        help="look at the computer alone, at each meter's port without opening it, and say only what is wrong",
    )
    group.add_argument(
        "--seconds",
        type=_seconds,
        metavar="N",
        help="how long to listen (default: as long as it takes to tell)",
    )
    group.add_argument("--record", type=Path, metavar="FILE", help="keep what is heard, for a bug report")
    group.add_argument(
        "--replay", type=Path, metavar="FILE", help="look at such a recording in place of a port"
    )
    group.add_argument(
        "--redact", action="store_true", help="leave serial numbers, EANs and messages out of the recording"
    )
    add_run_flags(parser)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,3})?", text) or float(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 1 to 99999")
    return float(text)


def _add_decode_flags(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [FLAG ...] [FILE]"
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="bytes of a P1 port (default: standard input)"
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a telegram, then one with the sums"
    )
    add_version_flag(parser)
    add_flags(parser, ("meter.time-zone", "meter.key-file", "meter.check-tag", "collector.equipment-ids"))


def _add_simulate_flags(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [FLAG ...] [METER]"
    parser.add_argument(
        "meter",
        nargs="?",
        default="dsmr5",
        metavar="METER",
        help="dsmr2, dsmr4, dsmr5, belgium, sweden or luxembourg, with parameters such as dsmr5?seed=1 "
        "(default: dsmr5)",
    )
    parser.add_argument("--tcp", metavar="HOST:PORT", help="serve a TCP port instead of a pseudo-terminal")
    parser.add_argument(
        "--link", type=Path, metavar="PATH", help="symbolic link to the pseudo-terminal, while it lasts"
    )


def _run(flags: argparse.Namespace) -> int:
    # structlog imports it for methods that are not used here: 1.6 MiB of the 28 that a small Pi is to spare.
    defer("asyncio")
    # Where it is installed, structlog would load it for tracebacks in colour: another 4 MiB.
    withhold("rich")
    from p1_exporter.run import run  # noqa: PLC0415 - other commands do without the web server and its libraries

    run(flags)
    return 0


def _check_config(flags: argparse.Namespace) -> int:
    from p1_exporter.run import check  # noqa: PLC0415 - as above

    for line in check(flags):
        sys.stdout.write(line + "\n")
    return 0


def _survey(flags: argparse.Namespace) -> int:
    from p1_exporter.doctor.survey import Place, survey  # noqa: PLC0415 - as above
    from p1_exporter.ports import port_settings  # noqa: PLC0415 - as above

    for flag in ("seconds", "record", "replay", "redact"):
        if getattr(flags, flag):
            raise UserError(
                f"--{flag}: is about listening, and --computer listens to nothing. Give one of them."
            )
    # Keys are not looked for: they may be where only the service can read them.
    places = [Place(meter.name, *port_settings(meter)) for meter in load(flags, os.environ).meters]
    return survey(places, as_json=flags.json)


def _doctor(flags: argparse.Namespace) -> int:
    if flags.computer:
        return _survey(flags)
    from p1_exporter.doctor.command import Request, doctor  # noqa: PLC0415 - as above
    from p1_exporter.meters import meter_settings  # noqa: PLC0415 - as above

    if flags.redact and not flags.record:
        raise UserError("--redact: is about a recording. Give --record FILE too.")
    config = load(flags, os.environ)
    settings = meter_settings(config, os.environ)
    if len(settings) > 1:
        names = ", ".join(meter.name for meter in settings)
        raise UserError(
            f"doctor looks at one meter at a time, not at {names}. Name its port: --serial.port=PORT."
        )
    meter = settings[0]
    return doctor(
        Request(
            port=meter.port,
            understanding=meter.understanding,
            circuit=meter.circuit,
            addresses=config.web_listen_addresses,
            seconds=flags.seconds,
            as_json=flags.json,
            record=flags.record,
            replay=flags.replay,
            redacted=flags.redact,
        )
    )


def _decode(flags: argparse.Namespace) -> int:
    from p1_exporter.decode import decode  # noqa: PLC0415 - as above
    from p1_exporter.keys import cipher_of  # noqa: PLC0415 - as above

    config = load(flags, os.environ)
    meter = config.meters[0]
    decode(
        flags.file,
        as_json=flags.json,
        time_zone=meter.time_zone,
        cipher=cipher_of(meter, os.environ),
        identities=config.equipment_ids,
    )
    return 0


def _simulate(flags: argparse.Namespace) -> int:
    from p1_exporter.simulator.serve import serve_pty, serve_tcp  # noqa: PLC0415 - only this command is a meter
    from p1_exporter.simulator.source import parse_url  # noqa: PLC0415 - as above
    from p1_exporter.web.listen import parse_address  # noqa: PLC0415 - as above

    stop = threading.Event()
    # Waited for in a thread: a handler would run in the middle of the event's own lock.
    signals = (signal.SIGTERM, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)

    def wait_for_signal() -> None:
        signal.sigwait(signals)
        stop.set()

    threading.Thread(target=wait_for_signal, daemon=True).start()
    stream = parse_url(flags.meter if "://" in flags.meter else f"simulate://{flags.meter}").source()

    def announce(place: str) -> None:
        sys.stdout.write(f"{place}\n")
        sys.stdout.flush()

    if flags.tcp:
        address = parse_address(flags.tcp, "--tcp")
        serve_tcp(stream, (address.host, address.port), stop, announce)
    else:
        serve_pty(stream, flags.link, stop, announce)
    return 0


_ADD_FLAGS: Final = {
    "run": add_run_flags,
    "doctor": _add_doctor_flags,
    "decode": _add_decode_flags,
    "simulate": _add_simulate_flags,
    "check-config": add_run_flags,
}
_RUNNERS: Final = {
    "run": _run,
    "doctor": _doctor,
    "decode": _decode,
    "simulate": _simulate,
    "check-config": _check_config,
}
