from __future__ import annotations

import gzip
from html.parser import HTMLParser
from json import loads
from typing import TYPE_CHECKING

import pytest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from p1_exporter import __version__
from p1_exporter.web.app import App, html, json, landing_page
from p1_exporter.web.server import Request, Response
from p1_exporter.web.status import STATUS_PATH

if TYPE_CHECKING:
    import http.client
    import socket
    from collections.abc import Callable

    from prometheus_client.metrics_core import Metric


class Exporter:
    """What stands behind the pages."""

    healthy = True
    ready = True

    def metrics(self) -> list[Metric]:
        energy = CounterMetricFamily("p1_electricity_import", "Energy.", labels=["tariff"], unit="joules")
        energy.add_metric(["1"], 3600.0)
        return [energy]

    def status(self) -> bytes:
        return b'{"up": %s}' % (b"true" if self.ready else b"false")

    def app(self, telemetry_path: str = "/metrics") -> App:
        return App(
            telemetry_path,
            self.metrics,
            healthy=lambda: self.healthy,
            ready=lambda: self.ready,
            documents={
                "/": html(lambda: landing_page(telemetry_path)),
                STATUS_PATH: json(self.status),
            },
        )


def get(app: App, path: str, **headers: str) -> Response:
    return app(Request("GET", path, "", {name.replace("_", "-"): value for name, value in headers.items()}))


@pytest.mark.parametrize("version", ["0.0.1", "1.0.0", "2.0.0", "9.9.9"])
def test_openmetrics_of_any_version_is_1_0_0(version: str) -> None:
    response = get(Exporter().app(), "/metrics", accept=f"application/openmetrics-text; version={version}")
    assert response.status == 200
    assert response.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    (family,) = parse_openmetrics(response.body.decode())  # type: ignore[no-untyped-call] # the library has no types here
    assert family.samples[0][:3] == ("p1_electricity_import_joules_total", {"tariff": "1"}, 3600.0)


def test_text_is_for_all_others() -> None:
    response = get(Exporter().app(), "/metrics")
    assert response.content_type == "text/plain; version=0.0.4; charset=utf-8"
    (family,) = parse_text(response.body.decode())
    assert family.samples[0][:3] == ("p1_electricity_import_joules_total", {"tariff": "1"}, 3600.0)


def test_caches_are_told_what_the_answer_depends_on() -> None:
    app = Exporter().app()
    plain, compressed = get(app, "/metrics"), get(app, "/metrics", accept_encoding="gzip")
    assert dict(plain.headers) == {"Vary": "Accept, Accept-Encoding"}
    assert dict(compressed.headers) == {"Vary": "Accept, Accept-Encoding", "Content-Encoding": "gzip"}
    assert gzip.decompress(compressed.body) == plain.body


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
def test_health_and_readiness_are_200_or_503(path: str) -> None:
    exporter = Exporter()
    app = exporter.app()
    assert get(app, path).status == 200
    exporter.healthy = path != "/-/healthy"
    exporter.ready = path != "/-/ready"
    assert get(app, path).status == 503
    assert {get(app, other).status for other in ("/-/healthy", "/-/ready")} == {200, 503}


@pytest.mark.parametrize(
    "path",
    ["/api/v1/status/", "/api/v1", "/metrics/", "/Metrics", "/nonsense", "/-/", "/favicon.ico", "//", "*"],
)
def test_any_other_path_is_404(path: str) -> None:
    assert get(Exporter().app(), path).status == 404


def test_the_metrics_may_be_elsewhere_also_in_place_of_the_page() -> None:
    assert get(Exporter().app("/p1"), "/p1").status == 200
    assert get(Exporter().app("/p1"), "/metrics").status == 404
    assert get(Exporter().app("/"), "/").content_type.startswith("text/plain")


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str | None] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [value for name, value in attrs if name == "href"]


def test_the_page_names_the_program_and_its_version_and_links_to_the_rest() -> None:
    response = get(Exporter().app(), "/")
    page = response.body.decode()
    links = Links()
    links.feed(page)
    assert links.found == ["/metrics", "/api/v1/status", "/-/healthy", "/-/ready"]
    assert "p1-exporter" in page
    assert __version__ in page


def test_the_page_runs_nothing_and_loads_nothing() -> None:
    response = get(Exporter().app(), "/")
    headers = dict(response.headers)
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert response.content_type == "text/html; charset=utf-8"


def test_a_strange_telemetry_path_cannot_break_out_of_the_page() -> None:
    path = '/"><script>alert(1)</script>'
    links = Links()
    links.feed(landing_page(path).decode())
    assert links.found[0] == path
    assert "script" not in links.tags


def link_of(name: str, **fault: object) -> dict[str, object]:
    """The status of a meter with one fault, as far as the page shows it."""
    known = {"meaning": "Hum.", "seen": "errors in step", "part": "ground", "advice": ["Use one socket."]}
    return {"name": name, "state": "failing", "port": "/dev/ttyUSB0", "faults": [known | fault]}


def test_the_page_shows_each_link_with_its_faults_and_what_to_do() -> None:
    well = {**link_of("garage"), "state": "ok", "faults": []}
    advice = ["Use one socket.", "Shorten the cable."]
    page = landing_page("/metrics", [link_of("main", advice=advice), well]).decode()
    for shown in ("main: failing", "garage: ok", "/dev/ttyUSB0", "Hum.", "errors in step", "ground", *advice):
        assert shown in page
    assert page.index("main: failing") < page.index(advice[0]) < page.index(advice[1])
    assert page.index(advice[1]) < page.index("garage: ok")


def test_what_a_link_or_its_port_is_called_cannot_break_out_of_the_page() -> None:
    evil = "<script>alert(1)</script>"
    of_meter = {**link_of(evil), "port": evil, "state": evil}
    in_fault = link_of("main", meaning=evil, seen=evil, part=evil, advice=[evil])
    page = landing_page("/metrics", [of_meter, in_fault]).decode()
    links = Links()
    links.feed(page)
    assert "script" not in links.tags
    assert page.count("&lt;script&gt;") == 7


def test_the_status_is_json_made_anew_for_each_request() -> None:
    exporter = Exporter()
    app = exporter.app()
    response = get(app, "/api/v1/status")
    assert (response.status, response.content_type) == (200, "application/json")
    assert dict(response.headers)["X-Content-Type-Options"] == "nosniff"
    exporter.ready = False
    assert [loads(response.body), loads(get(app, "/api/v1/status").body)] == [{"up": True}, {"up": False}]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_status_goes_through_server_and_app(
    serve: Callable[..., int],
    connect: Callable[..., socket.socket],
    exchange: Callable[..., tuple[http.client.HTTPResponse, bytes]],
    method: str,
) -> None:
    head = f"{method} /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    response, body = exchange(connect(serve(Exporter().app())), head, method)
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    assert int(response.headers["Content-Length"]) == len(b'{"up": true}')
    assert body == (b'{"up": true}' if method == "GET" else b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_the_status_cannot_be_changed(
    serve: Callable[..., int],
    connect: Callable[..., socket.socket],
    exchange: Callable[..., tuple[http.client.HTTPResponse, bytes]],
    method: str,
) -> None:
    head = f"{method} /api/v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode()
    response, _ = exchange(connect(serve(Exporter().app())), head, method)
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_scrape_goes_through_server_and_app(
    serve: Callable[..., int],
    connect: Callable[..., socket.socket],
    exchange: Callable[..., tuple[http.client.HTTPResponse, bytes]],
    method: str,
) -> None:
    head = f"{method} /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    response, body = exchange(connect(serve(Exporter().app())), head, method)
    assert response.status == 200
    assert response.headers["Content-Encoding"] == "gzip"
    assert int(response.headers["Content-Length"]) > 50
    assert (b"p1_electricity" in gzip.decompress(body)) if method == "GET" else body == b""
