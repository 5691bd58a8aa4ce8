"""Spans for OpenTelemetry, where an app has set it up: of each request to our routes, and within one of what the store,
the hasher and the limiter took; of each message that is sent.

The API is looked up once, when `lifespan` begins. Without it, or with it and no tracer provider, nothing is wrapped and
nothing costs anything. Names and attributes are words of this package's own: no address, name, token, path or text of
an error that came from outside (SECURITY-TARGET attack 96).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from watchword.errors import Problem
from watchword.ports import Limiter, Mailer, Store, World


class Tracing:
    """Implements `ports.Spans`. Off until `begin` finds a provider, and from `end` on."""

    def __init__(self) -> None:
        self.on = False
        self._api: Any = None
        self._tracer: Any = None
        self._wrapped: list[tuple[object, str]] = []

    def begin(self, world: World, mailer: Mailer | None) -> None:
        """Look the API up, and wrap the parts if somebody listens."""
        try:
            from opentelemetry import trace
        except ImportError:
            return
        provider = trace.get_tracer_provider()
        if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
            return
        self._api, self._tracer, self.on = trace, provider.get_tracer("watchword"), True
        self._wrap(world.store, "store", _verbs(Store))
        self._wrap(world.hasher, "hasher", ["hash", "verify"])
        self._wrap(world.limiter, "limiter", _verbs(Limiter))
        if mailer is not None:
            self._wrap(mailer, "mailer", ["send"], alone=True)

    def end(self) -> None:
        """Leave the parts as they were."""
        for part, name in self._wrapped:
            delattr(part, name)
        self._wrapped.clear()
        self.on = False

    @contextmanager
    def span(self, name: str) -> Iterator[Callable[..., None]]:
        """As `ports.Spans`."""
        with self._tracer.start_as_current_span(
            name, record_exception=False, set_status_on_exception=False
        ) as span:

            def tell(
                name: str, code: str | None, *, failed: bool, attributes: Mapping[str, str | int]
            ) -> None:
                span.update_name(name)
                span.set_attributes(attributes)
                self._mark(span, code, failed=failed)

            try:
                yield tell
            except Exception as error:
                self._mark(span, _code(error), failed=True)
                raise

    def _mark(self, span: Any, code: str | None, *, failed: bool) -> None:
        if code is not None:
            span.set_attribute("error.type", code)
        if failed:
            span.set_status(self._api.StatusCode.ERROR)

    def _wrap(self, part: object, kind: str, names: list[str], *, alone: bool = False) -> None:
        """Put spans around methods of one object. Loops call them too, all the time: outside of a span that somebody
        records they make none, unless they stand `alone`."""
        for name in names:
            method = getattr(part, name, None)
            if method is None or name in getattr(part, "__dict__", {name: None}):
                continue  # an optional verb; or one that is wrapped already, or that cannot be
            setattr(part, name, self._spanned(f"watchword {kind}.{name}", method, alone=alone))
            self._wrapped.append((part, name))

    def _spanned(
        self, name: str, method: Callable[..., Awaitable[Any]], *, alone: bool
    ) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(method)
        def spanned(*args: Any, **kwargs: Any) -> Awaitable[Any]:
            if alone or self._api.get_current_span().is_recording():
                return within(*args, **kwargs)
            return method(*args, **kwargs)

        async def within(*args: Any, **kwargs: Any) -> Any:
            with self.span(name):
                return await method(*args, **kwargs)

        return spanned


def _verbs(port: type[Store | Limiter]) -> list[str]:
    """The names of a port's methods that are awaited."""
    return [name for name, _ in inspect.getmembers(port, inspect.iscoroutinefunction)]


def _code(error: Exception) -> str:
    """Never its text, which may hold what somebody sent."""
    return error.code if isinstance(error, Problem) else type(error).__name__
