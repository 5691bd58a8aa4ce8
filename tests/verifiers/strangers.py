"""Three verifiers that know of a Watchword its address, its algorithm and what it publishes; and a page to publish at.

Each takes issuer, algorithm and tokens, and returns the claims of each token, or None for one that it refuses.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.request import ProxyHandler, build_opener

import jwt
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from tests.nodes import run_node
from tests.verifiers.verify import AccessTokens

Verdicts = list[dict[str, Any] | None]
LEEWAY = 5


def pyjwt(issuer: str, algorithm: str, tokens: Sequence[str]) -> Verdicts:
    """As the guide says."""
    verifier = AccessTokens(issuer, algorithm)

    def verdict(token: str) -> dict[str, Any] | None:
        try:
            return verifier.verify(token)
        except jwt.PyJWTError:
            return None

    return [verdict(token) for token in tokens]


def jose(issuer: str, algorithm: str, tokens: Sequence[str]) -> Verdicts:
    """As the guide says, in Node."""
    verdicts: Verdicts = run_node(
        "judge.mjs", stdin={"issuer": issuer, "algorithm": algorithm, "tokens": list(tokens)}
    )
    return verdicts


def joserfc(issuer: str, algorithm: str, tokens: Sequence[str]) -> Verdicts:
    """By hand, over joserfc's decoder and its check of claims."""
    with build_opener(ProxyHandler({})).open(f"{issuer}/.well-known/jwks.json", timeout=5) as answer:
        published = json.load(answer)
    keys = KeySet([]) if not published["keys"] else KeySet.import_key_set(published)
    essential: Any = {name: {"essential": True} for name in ("exp", "iat", "sub", "sid")}
    ours: Any = {name: {"essential": True, "value": issuer} for name in ("iss", "aud")}
    rules = joserfc_jwt.JWTClaimsRegistry(leeway=LEEWAY, **essential, **ours)

    def verdict(token: str) -> dict[str, Any] | None:
        try:
            decoded = joserfc_jwt.decode(token, keys, algorithms=[algorithm])
            rules.validate(decoded.claims)
        except (JoseError, ValueError):
            return None
        return decoded.claims if decoded.header.get("typ") == "at+jwt" else None

    return [verdict(token) for token in tokens]


class Page:
    """A web server that answers everything with `keys`, the JWKS of this moment."""

    def __init__(self) -> None:
        self.keys: Any = {"keys": []}
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(page.keys).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
