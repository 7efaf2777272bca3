"""An answer to a browser, and the headers that every answer has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Mapping
from functools import cache
from importlib import resources
from typing import Final

from ipad_agent.records import dataclass, field

CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
"""Nothing from elsewhere, nothing inline, and no text is ever made into markup or code by the page."""
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
FILES: Final[Mapping[str, tuple[str, str]]] = {
    "/": ("status_page.html", "text/html; charset=utf-8"),
    "/status_page.css": ("status_page.css", "text/css; charset=utf-8"),
    "/status_page.js": ("status_page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


@dataclass(frozen=True, slots=True)
class Response:
    """``stream`` instead of ``body``: pieces that are sent as they come, for as long as they do."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    stream: AsyncGenerator[bytes, None] | None = None

    def all_headers(self) -> list[tuple[str, str]]:
        """With those that every answer has."""
        found = {"Cache-Control": "no-store", **SECURITY_HEADERS, **self.headers}
        if self.stream is None:
            found["Content-Length"] = str(len(self.body))
        return list(found.items())


def data(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON; ASCII, so that no text of a card or an eIM can upset it."""
    return Response(
        status,
        {"Content-Type": "application/json", **(headers or {})},
        json.dumps(value, allow_nan=False).encode("ascii"),
    )


def failure(status: int, sentence: str, hint: str | None = None, *, name: str = "", **headers: str) -> Response:
    """An error as the page shows it."""
    return data({"error": {"name": name, "sentence": sentence, "hint": hint}}, status=status, headers=headers)


def page_file(path: str, known_tag: str) -> Response | None:
    """A file of the page, or word that the browser has it already; None when there is none at this path. They hold
    nothing about the device."""
    found = FILES.get(path)
    if found is None:
        return None
    name, kind = found
    content, tag = _content(name)
    headers = {"Cache-Control": "no-cache", "ETag": tag, "Content-Type": kind}
    if tag in [one.strip().removeprefix("W/") for one in known_tag.split(",")]:
        return Response(304, headers)
    return Response(200, headers, content)


@cache
def _content(name: str) -> tuple[bytes, str]:
    content = resources.files(__package__).joinpath("page", name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
