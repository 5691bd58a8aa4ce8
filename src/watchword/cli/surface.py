"""`watchword routes` and `watchword openapi`: what is reachable over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from watchword.cli.console import Refused, as_json, print_json, print_table

if TYPE_CHECKING:
    from watchword.http.problem import ASGIApp, Message, Scope
    from watchword.routing.match import Entry


@click.command()
@click.argument("app", metavar="MODULE:APP")
@as_json
def routes(app: str, as_json: bool) -> None:
    """Every route of an app, and whether it is open to anybody.

    The app is FastAPI's or Starlette's, and named as by uvicorn: main:app.
    """
    entries = _audit(_imported(app), app)
    if as_json:
        print_json(
            [
                {"path": e.path, "methods": e.methods, "public": e.public, "endpoint": e.endpoint}
                for e in entries
            ]
        )
    else:
        print_table(
            [
                "public" if entry.public else "guarded",
                ",".join(entry.methods) or "*",
                entry.path,
                entry.endpoint,
            ]
            for entry in entries
        )


@click.command()
def openapi() -> None:
    """Print the OpenAPI document of our routes. Needs no database."""
    import asyncio
    from dataclasses import replace

    from watchword.auth import Watchword
    from watchword.cli.opened import keyed
    from watchword.settings import Settings

    async def document() -> bytes:
        auth = Watchword(replace(keyed(Settings.from_env()), database_url="memory:"))
        try:
            return await _got(auth.app, f"{auth.settings.prefix}/openapi.json")
        finally:
            await auth.aclose()

    click.echo(asyncio.run(document()))


def _imported(name: str) -> Any:
    """The object that `module:app` names, from the working directory first."""
    import importlib
    import sys
    from operator import attrgetter

    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise click.UsageError(f"{name} names no app: module:app, as in main:app")
    sys.path.insert(0, "")
    try:
        return attrgetter(attribute)(importlib.import_module(module))
    except Exception as error:  # it is somebody's own code that runs here
        raise Refused(f"cannot import {name}: {type(error).__name__}: {error}") from error


def _audit(app: Any, name: str) -> list[Entry]:
    from starlette.applications import Starlette

    from watchword.routing.match import audit

    if not isinstance(app, Starlette):
        raise Refused(f"{name} is {type(app).__name__}, and no FastAPI or Starlette app")
    opened = getattr(app.state, "watchword_public", None)
    if opened is None:
        raise Refused(f"{name} has no guard, all its routes are open: call install(app, auth)")
    from fastapi import FastAPI

    if isinstance(app, FastAPI):
        from watchword.fastapi import audit as audit_fastapi

        return audit_fastapi(app)
    return audit([*app.state.watchword_routes, *app.routes], opened)


async def _got(app: ASGIApp, path: str) -> bytes:
    """The body that an app answers a GET with, asked without a server."""
    body = bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        body.extend(message.get("body", b""))

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)
    return bytes(body)
