"""The live page: its files, from the checkout or from the wheel, at `/` and `/page/…` (DESIGN §8).

All files are read once, at the start: what is served is what was there then, whole, and no path leads anywhere else.
They need no token: nothing in them is anybody's. A browser asks again each time (ETag), so that modules of two
versions never meet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter, Request, Response

from sendledger.edges.api.problems import not_found

router = APIRouter(include_in_schema=False)

_INSTALLED = Path(__file__).parent / "page_files"
_CHECKOUT = Path(__file__).parents[4] / "dashboards" / "page"
_MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Nothing inline, nothing from elsewhere, and no text that becomes markup (trusted types: innerHTML throws).
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class File:
    """One file of the page."""

    body: bytes = field(repr=False)
    media: str
    etag: str


def read(folder: Path | None = None) -> Mapping[str, File]:
    """Path below the folder → file: the page of the wheel, or else of the checkout. Errors: OSError without any."""
    root = folder or (_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT)
    found = {
        path.relative_to(root).as_posix(): _file(path)
        for path in sorted(root.rglob("*"))
        if path.suffix in _MEDIA and path.is_file()
    }
    if "index.html" not in found:
        raise FileNotFoundError(f"the live page is not where it has to be: {root}")
    return MappingProxyType(found)


def _file(path: Path) -> File:
    body = path.read_bytes()
    return File(body, _MEDIA[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


@router.api_route("/", methods=["GET", "HEAD"])
async def index(request: Request) -> Response:
    """The page itself."""
    return _answer(request, "index.html")


@router.api_route("/page/{path:path}", methods=["GET", "HEAD"])
async def file(request: Request, path: str) -> Response:
    """One of its files."""
    return _answer(request, path)


def _answer(request: Request, path: str) -> Response:
    files: Mapping[str, File] = request.app.state.page
    found = files.get(path)
    if found is None:
        raise not_found("file")
    headers = {**_HEADERS, "ETag": found.etag}
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if found.etag in known:
        return Response(status_code=304, headers=headers)
    return Response(found.body, headers={**headers, "Content-Type": found.media})
