"""How to serve: what the connections need to know of the web configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    from p1_exporter.web.passwords import Passwords


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How to serve: without TLS, passwords and further headers unless they are wanted."""

    tls: ssl.SSLContext | None = None
    headers: tuple[tuple[str, str], ...] = ()
    passwords: Passwords | None = None
