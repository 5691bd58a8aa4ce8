"""Watchword in a WSGI app: whom a request speaks for, and how a refusal is answered. Idiom only.

    auth = Watchword()
    running = auth.running()
    running.start()                     # in each worker, after a fork

    def app(environ, start_response):
        try:
            user = current_user(auth, environ)
        except Problem as problem:
            return refuse(auth, problem, environ, start_response)

Our own routes are not here: `watchword serve` answers them, behind the same origin.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from watchword.auth import Watchword
from watchword.core.session import Principal
from watchword.errors import NotAuthenticated, Problem
from watchword.http.guard import SCOPE_KEY
from watchword.http.problem import Headers, document
from watchword.http.problem import headers as problem_headers

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


def headers(environ: Environ) -> Headers:
    """A request's headers as `Watchword.authenticate` takes them (PEP 3333: text of one byte a character)."""
    return [
        (name[5:].replace("_", "-").lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    ]


def principal(auth: Watchword, environ: Environ) -> Principal | None:
    """Whom a request speaks for, with no I/O; None if nobody. Raises what `Watchword.authenticate` raises."""
    found = auth.authenticate(headers(environ), method=environ["REQUEST_METHOD"])
    environ[SCOPE_KEY] = found
    return found


def current_user(auth: Watchword, environ: Environ) -> Principal:
    """The same, and NotAuthenticated for nobody."""
    found = principal(auth, environ)
    if found is None:
        raise NotAuthenticated
    return found


def refuse(
    auth: Watchword, problem: Problem, environ: Environ, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer with a problem document, and tell of it as every guard does."""
    scope = {"type": "http", "headers": headers(environ), SCOPE_KEY: environ.get(SCOPE_KEY)}
    if address := environ.get("REMOTE_ADDR"):
        scope["client"] = (address, 0)
    auth.site.denials.tell(scope, problem)
    body = json.dumps(document(problem, docs=auth.site.docs)).encode()
    lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in problem_headers(problem)]
    lines.append(("content-length", str(len(body))))
    start_response(f"{problem.status} {HTTPStatus(problem.status).phrase}", lines)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
