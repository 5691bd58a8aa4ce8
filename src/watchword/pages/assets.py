"""The stylesheet, scripts and icon of the pages, as files that browsers keep.

Their address holds a digest of them all, so that what is kept is never older than the page that asks for it.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

from watchword.errors import NotFound
from watchword.http.site import Site

FOLDER = Path(__file__).parent / "assets"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_KEPT = "public, max-age=31536000, immutable"
# A script that runs as a worker has the policy of its own answer.
_POLICY = (
    "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is and as it is sent to who takes gzip. Nothing in it is secret (BREACH needs a secret)."""

    media_type: str
    plain: bytes
    packed: bytes


@cache
def assets() -> tuple[str, dict[str, Asset]]:
    """A digest of all files, and each by its name."""
    digest, found = hashlib.sha256(), {}
    for path in sorted(FOLDER.iterdir()):
        plain = path.read_bytes()
        digest.update(path.name.encode() + b"\0" + plain + b"\0")
        media_type = _TYPES[path.suffix] + "; charset=utf-8"
        found[path.name] = Asset(media_type, plain, gzip.compress(plain, mtime=0))
    return digest.hexdigest()[:12], found


def folder(prefix: str) -> str:
    """Where the files of today are, without a slash at the end."""
    return f"{prefix}/pages/{assets()[0]}"


def router(site: Site) -> APIRouter:
    """GET pages/{version}/{name} below the prefix."""
    routes = APIRouter(include_in_schema=False)
    now, known = assets()

    @routes.get(f"{site.settings.prefix}/pages/{{version}}/{{name}}")
    async def asset(request: Request, version: str, name: str) -> Response:
        found = known.get(name)
        if found is None:
            raise NotFound
        packed = "gzip" in request.headers.get("accept-encoding", "")
        headers = {
            # A page of another release, while releases change: it gets what there is, and keeps it for no other.
            "cache-control": _KEPT if version == now else "no-store",
            "content-security-policy": _POLICY,
            "vary": "Accept-Encoding",
        }
        if packed:
            headers["content-encoding"] = "gzip"
        body = found.packed if packed else found.plain
        return Response(body, media_type=found.media_type, headers=headers)

    return routes
