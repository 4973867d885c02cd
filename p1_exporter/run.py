"""`p1-exporter run`: binds meters, collector and web server, until SIGTERM."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import ProcessCollector

from p1_exporter import __version__, logs
from p1_exporter.config import Config, load
from p1_exporter.errors import UserError
from p1_exporter.exposition.collector import MeterCollector
from p1_exporter.meter import Meter, MeterSettings, MeterSnapshot
from p1_exporter.meters import meter_settings
from p1_exporter.service_manager import ServiceManager
from p1_exporter.supervision import Supervision
from p1_exporter.web.app import App, html, json, landing_page
from p1_exporter.web.listen import bind, systemd_sockets
from p1_exporter.web.server import Server
from p1_exporter.web.settings import WebSettings
from p1_exporter.web.status import STATUS_PATH, meters, status

if TYPE_CHECKING:
    import argparse
    import socket
    from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping

    from prometheus_client.metrics_core import Metric

    from p1_exporter.link.share import ShareServer

_STOP_SECONDS: Final = 0.5
_ENDING: Final = (signal.SIGTERM, signal.SIGINT)
_SIGNALS: Final = (*_ENDING, signal.SIGHUP, signal.SIGALRM)


def run(flags: argparse.Namespace, environ: MutableMapping[str, str] = os.environ) -> None:
    """Read the meters and serve HTTP until SIGTERM or SIGINT.

    What a service manager has put into `environ` to be told how this program is, is taken out.

    Raises:
        UserError: What flags or file say cannot work.
    """
    config = load(flags, environ)
    settings = meter_settings(config, environ)
    logs.configure(config.log_level, config.log_format)
    # Waited for, instead of handled: no handler runs in the middle of anything. Threads inherit the mask.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        with closing(ServiceManager(environ)) as manager, closing(_Program(config, settings)) as program:
            program.start()
            manager.ready()
            supervision = Supervision(manager, lambda: program.meters)
            while (number := _signal(supervision.look(time.monotonic()))) not in _ENDING:
                if number == signal.SIGHUP:
                    manager.reloading()
                    program.reload(flags, environ)
                    manager.ready()
            manager.stopping()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if signal.SIGALRM in signal.sigpending():
            signal.sigwait((signal.SIGALRM,))
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _signal(seconds: float | None) -> int:
    """Wait for a signal, and return its number; SIGALRM after so many seconds, unless None.

    `signal.sigtimedwait` does not serve: when it is interrupted in its last moment, by SIGCONT or as the computer
    wakes up, it returns a signal that never came (seen with Python 3.11).
    """
    if seconds is not None:
        # On the monotonic clock, as all waiting here.
        signal.setitimer(signal.ITIMER_REAL, seconds)
    return signal.sigwait(_SIGNALS)


def check(flags: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return what `run` would do with these flags, a line each, without touching a port or an address.

    Raises:
        UserError: What flags or files say cannot work.
    """
    config = load(flags, environ)
    _web_settings(config)
    lines = [
        f"meter {meter.name}: {meter.port.url}" + (f" ({meter.port_reason})" if meter.port_reason else "")
        for meter in meter_settings(config, environ)
    ]
    served = "a socket of systemd" if config.systemd_socket else ", ".join(config.web_listen_addresses)
    return [*lines, f"metrics: {config.telemetry_path} at {served}", "The configuration is good."]


def _web_settings(config: Config) -> Callable[[], WebSettings]:
    """Return what gives the settings of the web server at any time."""
    if config.web_config_file is None:
        return WebSettings
    from p1_exporter.web.settings_file import WebConfigFile  # noqa: PLC0415 - most exporters have no such file

    return WebConfigFile(config.web_config_file)


class _Program:
    """All parts of the running exporter."""

    def __init__(self, config: Config, settings: list[MeterSettings]) -> None:
        self._log = structlog.get_logger()
        self._config = config
        self._shares: dict[str, ShareServer] = {}
        self._process = ProcessCollector(registry=None)
        self._collector = MeterCollector(self._snapshots)
        self._web = _web_settings(config)
        sockets = systemd_sockets() if config.systemd_socket else bind(config.web_listen_addresses)
        self._addresses = [_address(listening) for listening in sockets]
        app = App(
            config.telemetry_path,
            metrics=self._collect,
            healthy=lambda: all(meter.healthy() for meter in self._meters.values()),
            ready=self._ready,
            documents={
                "/": html(
                    lambda: landing_page(config.telemetry_path, meters(self._snapshots(), time.monotonic()))
                ),
                STATUS_PATH: json(lambda: status(self._snapshots(), time.monotonic())),
            },
        )
        self._server = Server(sockets, app, self._web)
        self._meters = {
            meter.name: Meter(meter, self._share(of.share_listen_address))
            for meter, of in zip(settings, config.meters, strict=True)
        }

    @property
    def meters(self) -> Collection[Meter]:
        """Those that are read now."""
        return self._meters.values()

    def _snapshots(self) -> list[MeterSnapshot]:
        return [meter.snapshot for meter in self._meters.values()]

    def start(self) -> None:
        """Start all threads, and say where to look."""
        for meter in self._meters.values():
            meter.start()
        self._server.start()
        self._log.info("p1-exporter is running", version=__version__, meters=len(self._meters))
        scheme = "https" if self._web().tls else "http"
        for address in self._addresses:
            self._log.info("listening", address=f"{scheme}://{address}{self._config.telemetry_path}")

    def reload(self, flags: argparse.Namespace, environ: Mapping[str, str]) -> None:
        """Read the configuration again and reopen all ports; keep on with the old one if the new one is broken."""
        try:
            config = load(flags, environ)
            settings = meter_settings(config, environ)
            self._adopt(config, settings)
        except UserError as error:
            self._log.error("the new configuration is broken, keeping on with the old one", error=str(error))
            return
        self._log.info("configuration reloaded", meters=len(self._meters))

    def _adopt(self, config: Config, settings: list[MeterSettings]) -> None:
        shares = self._shares_of(config)
        meters: dict[str, Meter] = {}
        for wanted, share in zip(settings, shares, strict=True):
            meters[wanted.name] = self._meters.get(wanted.name) or Meter(wanted, share)
            meters[wanted.name].reopen(wanted, share)
        started = [meter for name, meter in meters.items() if name not in self._meters]
        gone = [meter for name, meter in self._meters.items() if name not in meters]
        fixed = (
            "web_listen_addresses",
            "telemetry_path",
            "web_config_file",
            "systemd_socket",
            "log_level",
            "log_format",
        )
        if any(getattr(config, name) != getattr(self._config, name) for name in fixed):
            self._log.warning("changes of web and log settings take effect at the next start only")
        self._meters, self._config = meters, config
        # First the old ones: a meter that got another name has the same port.
        for meter in gone:
            meter.stop(_STOP_SECONDS)
        for meter in started:
            meter.start()
        for address in set(self._shares) - {of.share_listen_address for of in config.meters}:
            self._shares.pop(address).close()

    def _shares_of(self, config: Config) -> list[ShareServer | None]:
        """Return the sharing server of each meter: all, or none that is new."""
        before = dict(self._shares)
        try:
            return [self._share(of.share_listen_address) for of in config.meters]
        except UserError:
            for address in self._shares.keys() - before.keys():
                self._shares[address].close()
            self._shares = before
            raise

    def _share(self, address: str | None) -> ShareServer | None:
        """Return the server that shares a meter's bytes at `address`, started if it is not yet there."""
        if address is None:
            return None
        if address not in self._shares:
            from p1_exporter.link.share import ShareServer  # noqa: PLC0415 - most exporters share nothing

            self._shares[address] = ShareServer(bind([address], flag="--share.listen-address"))
        return self._shares[address]

    def close(self) -> None:
        """End all threads, within a second."""
        started = time.monotonic()
        for meter in self._meters.values():
            meter.stop(max(0.0, _STOP_SECONDS - (time.monotonic() - started)))
        for share in self._shares.values():
            share.close()
        self._server.close()
        self._log.info("p1-exporter has stopped")

    def _collect(self) -> Iterator[Metric]:
        yield from self._collector.collect()
        yield from self._process.collect()

    def _ready(self) -> bool:
        """Whether every meter's newest telegram is fresh."""
        now = time.monotonic()
        return all(meter.snapshot.link.fresh(now) for meter in self._meters.values())


def _address(listening: socket.socket) -> str:
    host, port, *_ = listening.getsockname()
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - what the user is told is a name that works
        host = "localhost"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
