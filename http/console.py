"""The console: /console and the static files below it, for people who run agents.

The files are package data beside this module, in console/. They are read once, when the server starts, so a path is
looked up among names that are known and never becomes a path of the file system. They tell nothing of an
installation, so they need no key; the data that the pages ask for does. Answered by waitress threads. Imported by
http/app.py only.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import falcon

from callboard.http.errors import ConsoleOff
from callboard.http.request import Request
from callboard.settings import Settings

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the console's pages may load: their own scripts, styles and pictures, and this server's data. Nothing inline."""

_FOLDER = Path(__file__).parent / "console"
_INDEX = "index.html"
_LIMIT = 'name="callboard-max-body-bytes" content="'
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _File:
    """One file as it is sent."""

    body: bytes
    media_type: str
    etag: str


class Console:
    """GET /console and GET /console/{name}: the page, and what it loads."""

    own_type = True

    def __init__(self, settings: Settings) -> None:
        self._files = _read(_FOLDER, settings) if is_on(settings) else {}

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Send a browser to the page; with the slash, what it loads is found by relative addresses."""
        self._check()
        resp.status = falcon.HTTP_308
        # Relative, so that it also holds behind a proxy which serves Callboard below a path of its own.
        resp.set_header("Location", f"console/?{req.query_string}" if req.query_string else "console/")
        resp.content_type = _TYPES[".html"]
        resp.set_headers({"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"})

    on_head = on_get

    def on_get_file(self, req: Request, resp: falcon.Response, name: str) -> None:
        """Send one file, or 304 where the browser has it already."""
        self._check()
        found = self._files.get(name or _INDEX)
        if found is None:
            raise falcon.HTTPNotFound
        resp.set_headers({"Content-Security-Policy": POLICY, "Cache-Control": "no-cache", "ETag": found.etag})
        if found.etag in (req.get_header("If-None-Match") or ""):
            resp.status = falcon.HTTP_304
            return
        resp.content_type = found.media_type
        resp.data = found.body

    on_head_file = on_get_file

    def _check(self) -> None:
        if not self._files:
            raise ConsoleOff("The console is off on this server; CALLBOARD_CONSOLE=on turns it on.")


def is_on(settings: Settings) -> bool:
    """Say whether the settings have the console served."""
    return settings.console == "on" or (settings.console == "auto" and not settings.production)


def _read(folder: Path, settings: Settings) -> dict[str, _File]:
    """Return the files below a folder, by the name that they have in an address."""
    paths = (path for path in sorted(folder.rglob("*")) if path.suffix in _TYPES)
    bodies = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    # What the page has to know of the settings before anything is sent; the file itself has the default.
    limit = f"{_LIMIT}{settings.max_body_bytes}".encode()
    bodies[_INDEX] = re.sub(re.escape(_LIMIT.encode()) + rb"\d+", limit, bodies[_INDEX], count=1)
    return {name: _file(name, body) for name, body in bodies.items()}


def _file(name: str, body: bytes) -> _File:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return _File(body=body, media_type=_TYPES[Path(name).suffix], etag=etag)
