"""What there is to see: the metrics, a page for people, and two answers for those who watch the service."""

from __future__ import annotations

from functools import partial
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from p1_exporter import __version__
from p1_exporter.exposition.negotiation import encode, negotiate
from p1_exporter.web.message import Request, Response, text
from p1_exporter.web.status import STATUS_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

# Nothing of a page may come from elsewhere, run, or be framed. Style sheets within the page are harmless:
# everything that a meter says is escaped.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DOCUMENT_HEADERS: Final = (("Content-Security-Policy", _POLICY), ("X-Content-Type-Options", "nosniff"))


class Document(NamedTuple):
    """A page that is rendered anew for each request."""

    content_type: str
    render: Callable[[], bytes]


def html(render: Callable[[], bytes]) -> Document:
    """Return a page for people: HTML in UTF-8."""
    return Document("text/html; charset=utf-8", render)


def json(render: Callable[[], bytes]) -> Document:
    """Return a page for scripts."""
    return Document("application/json", render)


class App:
    """The pages by their paths. Called with a request, in any thread, it gives the answer.

    `metrics` collects the metric families of one scrape; `healthy` and `ready` answer `/-/healthy` and
    `/-/ready`; `documents` are further pages by their paths, of which the one of the metrics takes precedence.
    """

    def __init__(
        self,
        telemetry_path: str,
        metrics: Callable[[], Iterable[Metric]],
        healthy: Callable[[], bool],
        ready: Callable[[], bool],
        documents: Mapping[str, Document],
    ) -> None:
        self._metrics = metrics
        self._pages: dict[str, Callable[[Request], Response]] = {
            path: partial(_document, document) for path, document in documents.items()
        }
        self._pages |= {
            "/-/healthy": lambda _: _state(good=healthy(), yes="Healthy", no="Not healthy"),
            "/-/ready": lambda _: _state(good=ready(), yes="Ready", no="Not ready"),
            telemetry_path: self._metrics_page,
        }

    def __call__(self, request: Request) -> Response:
        """Answer a request for any path."""
        return self._pages.get(request.path, _not_found)(request)

    def _metrics_page(self, request: Request) -> Response:
        form = negotiate(request.headers.get("accept", ""), request.headers.get("accept-encoding", ""))
        headers: tuple[tuple[str, str], ...] = (("Vary", "Accept, Accept-Encoding"),)
        if form.gzip:
            headers += (("Content-Encoding", "gzip"),)
        return Response(HTTPStatus.OK, encode(self._metrics(), form), form.content_type, headers)


def _document(document: Document, _: Request) -> Response:
    return Response(HTTPStatus.OK, document.render(), document.content_type, _DOCUMENT_HEADERS)


def landing_page(telemetry_path: str, meters: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """Return a page that says what this is, where its parts are, and how the links of the meters are.

    `meters` are as in the status for scripts (`web.status`).
    """
    links = (
        (telemetry_path, "Metrics"),
        (STATUS_PATH, "Status"),
        ("/-/healthy", "Health"),
        ("/-/ready", "Readiness"),
    )
    items = "\n".join(f'<li><a href="{escape(path)}">{escape(name)}</a></li>' for path, name in links)
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>p1-exporter</title></head>
<body>
<h1>p1-exporter</h1>
<p>Version {escape(__version__)}. Prometheus exporter for the P1 port of smart meters.</p>
{"".join(map(_meter, meters))}<ul>
{items}
</ul>
</body>
</html>
""".encode()


def _meter(meter: Mapping[str, Any]) -> str:
    title = (
        f"<h2>Meter {escape(meter['name'])}: {escape(meter['state'])}</h2>\n<p>{escape(meter['port'])}</p>\n"
    )
    return title + "".join(map(_fault, meter["faults"]))


def _fault(fault: Mapping[str, Any]) -> str:
    steps = "".join(f"<li>{escape(step)}</li>\n" for step in fault["advice"])
    return (
        f"<h3>{escape(fault['meaning'])}</h3>\n"
        f"<p>Seen: {escape(fault['seen'])}. Suspected part: {escape(fault['part'])}.</p>\n<ol>\n{steps}</ol>\n"
    )


def _state(*, good: bool, yes: str, no: str) -> Response:
    return text(HTTPStatus.OK, yes) if good else text(HTTPStatus.SERVICE_UNAVAILABLE, no)


def _not_found(_: Request) -> Response:
    return text(HTTPStatus.NOT_FOUND, "Not found")
