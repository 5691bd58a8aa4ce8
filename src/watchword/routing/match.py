"""Asking a router which endpoint a request would reach, and which endpoints are open to anybody.

The guard asks for requests without a valid token alone. The answer comes from the routes themselves, never from the
URL path; what cannot be told is not public.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.routing import BaseRoute, Match
from starlette.types import Scope

PUBLIC = "__watchword_public__"
E = TypeVar("E", bound=Callable[..., Any])


def public(endpoint: E) -> E:
    """Mark an endpoint (or a mounted app) as open to anybody."""
    setattr(endpoint, PUBLIC, True)
    return endpoint


UNKNOWN = object()


def is_public(routes: Iterable[BaseRoute], scope: Scope, opened: frozenset[str]) -> bool:
    """Whether the endpoint that the router would choose is open. Asked for requests without a valid token alone."""
    endpoint, path = matched(routes, scope)
    return path in opened or _marked(endpoint)


def matched(routes: Iterable[BaseRoute], scope: Scope) -> tuple[object, str | None]:
    """The endpoint of the first full match, as the router picks it, and the path that its top route was declared as
    (None for an included router: what its routes call themselves is another route's path here).

    What matches nothing, or in part, or cannot be told, is UNKNOWN: 404, 405 and redirects are for the signed-in.
    """
    for top in routes:
        match, child = top.matches(scope)
        if match is not Match.FULL:
            continue
        route: Any = top
        # FastAPI's lazily included routers say that they match, and only in private which of their routes does. If
        # that name goes away their public routes answer 401: closed, and a test sees it.
        while "endpoint" not in child and (inner := getattr(route, "_match", None)) is not None:
            _, child, route, _ = inner(scope)
        return child.get("endpoint", UNKNOWN), getattr(top, "path", None)
    return UNKNOWN, None


def path_of(scope: Scope) -> str:
    """The path below where the app is mounted, as Starlette's own routes see it."""
    path: str = scope["path"]
    root = scope.get("root_path", "")
    if root and f"{path}/".startswith(f"{root}/"):  # a whole prefix
        return path[len(root) :]
    return path


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit."""

    path: str
    methods: tuple[str, ...]
    endpoint: str
    public: bool


def audit(routes: Iterable[Any], opened: frozenset[str] = frozenset()) -> list[Entry]:
    """Every declared route and whether it is public. Information: what decides is the guard, at each request."""
    entries = []
    for route in routes:
        endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
        path = getattr(route, "path", None) or ""
        name = getattr(endpoint, "__qualname__", None) or type(endpoint or route).__qualname__
        is_open = path in opened or _marked(endpoint)
        entries.append(Entry(path, tuple(sorted(getattr(route, "methods", None) or ())), name, is_open))
    return entries


def _marked(endpoint: object) -> bool:
    """Whether the mark is on this very thing: what derives from a public class is not public by that."""
    return getattr(endpoint, "__dict__", {}).get(PUBLIC) is True
