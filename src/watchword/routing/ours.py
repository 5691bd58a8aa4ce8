"""Which requests are for our own routes, in the middle of an app's: by their path alone, before anything is verified.

With a prefix everything below it is ours, what we do not know included. Without one only what we declare is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.routing import Mount, compile_path
from starlette.types import Scope

from watchword.errors import SettingsError
from watchword.routing.match import path_of, public


class OurPaths:
    """`taken` are the paths that the app declares; a document of its own at /openapi.json stays the app's.

    `shown` are the entries of the audit: one for all, or without a prefix one for each.
    """

    def __init__(self, app: Any, paths: Iterable[str], *, prefix: str, taken: frozenset[str]) -> None:
        endpoint = public(app)  # our routes authenticate by themselves
        ours = list(dict.fromkeys(path for path in paths if path != "/openapi.json" or path not in taken))
        whole = [path for path in ours if "{" not in path]
        self.shown = [Mount(path, endpoint) for path in ([prefix] if prefix else ours)]
        self._alone = frozenset([prefix, *whole] if prefix else whole)
        self._below = f"{prefix}/" if prefix else None
        self._shapes = [] if prefix else [compile_path(path)[0] for path in ours if "{" in path]

    def reached(self, scope: Scope) -> bool:
        """Whether a request is for us."""
        path: str = path_of(scope) if scope.get("root_path") else scope["path"]
        below = self._below
        if below is not None and not path.startswith(below) and path not in self._alone:
            return False  # at once: nearly all requests to an app are for the app
        return self._claims(path) and scope["type"] == "http"

    def check(self, declared: Iterable[str]) -> None:
        """Raises SettingsError for routes of an app that nobody would ever see, as their paths are ours."""
        if self._below is None and (hidden := ", ".join(sorted(filter(self._claims, declared)))):
            raise SettingsError(f"prefix none: your app declares {hidden} too; set a prefix")

    def _claims(self, path: str) -> bool:
        if self._below is not None:
            return path.startswith(self._below) or path in self._alone
        return path in self._alone or any(shape.match(path) for shape in self._shapes)


def declared(routes: Iterable[Any]) -> frozenset[str]:
    """The paths of routes and mounts, as they were declared."""
    paths = (getattr(route, "path", None) for route in routes)
    return frozenset(path for path in paths if path is not None)
