"""The apps that are measured, and the process that serves one of them: `python -m bench.apps NAME CORE SOCKET`.

Each pair differs in what is measured and in nothing else: the measured route is the first of the app's own in both,
answers the same bytes and is sent the same bytes. Guarded apps read their settings from the environment, as apps do.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi import Request as FastAPIRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.machine import stay_on
from watchword import Watchword
from watchword.drivers.hasher import Argon2Hasher
from watchword.drivers.sweeper import rest
from watchword.fastapi import CurrentUser
from watchword.fastapi import install as install_fastapi
from watchword.flows.sweep import sweep_in_turn
from watchword.routing.match import public
from watchword.server.app import standalone
from watchword.starlette import install as install_starlette

PASSWORD = "a long enough password for everybody here"
USER_ID = "0" * 36
"""What the bare apps answer: as long as a user's id."""


def fastapi_bare() -> Any:
    app = FastAPI()

    @app.get("/item")
    async def item(request: FastAPIRequest) -> dict[str, str]:
        return {"id": USER_ID}

    return app


def fastapi_guarded() -> Any:
    app = FastAPI()

    @app.get("/item")
    async def item(request: FastAPIRequest) -> dict[str, str]:
        return {"id": request.scope["watchword"].id}

    install_fastapi(app, Watchword())
    return app


def fastapi_current_user() -> Any:
    app = FastAPI()

    @app.get("/item")
    async def item(user: CurrentUser) -> dict[str, str]:
        return {"id": user.id}

    install_fastapi(app, Watchword())
    return app


def starlette_bare() -> Any:
    async def item(request: Request) -> Response:
        return JSONResponse({"id": USER_ID})

    return Starlette(routes=[Route("/item", item)])


def starlette_guarded() -> Any:
    async def item(request: Request) -> Response:
        return JSONResponse({"id": request.scope["watchword"].id})

    app = Starlette(routes=[Route("/item", item)])
    install_starlette(app, Watchword())
    return app


def whole() -> Any:
    """What `watchword serve` runs, and one cheap guarded route."""

    async def item(request: Request) -> Response:
        return JSONResponse({"id": request.scope["watchword"].id})

    return standalone(Watchword(), Route("/item", item))


def sweeping() -> Any:
    """The same, and routes that begin and stop what the sweeper does every hour."""
    auth = Watchword()
    tasks = []

    @public
    async def sweep(request: Request) -> Response:
        tasks.append(asyncio.create_task(sweep_in_turn(auth.world, "bench", rest)))
        return JSONResponse({})

    @public
    async def stop(request: Request) -> Response:
        tasks.pop().cancel()
        return JSONResponse({})

    return standalone(auth, Route("/sweep", sweep), Route("/rest", stop))


def refresh_floor() -> Any:
    """A POST route that answers as many bytes as /refresh does, and does nothing for it."""
    body = json.dumps({"expires_in": 900, "refresh_timeout": 0.0004}, separators=(",", ":")).encode()
    cookies = [
        (b"set-cookie", b"access_token=%s; Max-Age=900; Path=/; HttpOnly; SameSite=Lax" % (b"a" * 500)),
        (b"set-cookie", b"refresh_token=%s; Max-Age=604800; Path=/; HttpOnly; SameSite=Strict" % (b"r" * 84)),
    ]

    async def refresh(request: Request) -> Response:
        response = Response(body, media_type="application/json")
        response.raw_headers.extend(cookies)
        return response

    return Starlette(routes=[Route("/auth/refresh", refresh, methods=["POST"])])


def login_floor() -> Any:
    """Sign-ins that verify a password and do nothing else: no body is parsed, no database asked."""
    hasher = Argon2Hasher()
    digest = asyncio.run(hasher.hash(PASSWORD))

    async def login(request: Request) -> Response:
        assert await hasher.verify(digest, PASSWORD)
        return JSONResponse({"ok": True})

    async def item(request: Request) -> Response:
        return JSONResponse({"id": USER_ID})

    return Starlette(routes=[Route("/item", item), Route("/auth/login", login, methods=["POST"])])


APPS: dict[str, Callable[[], Any]] = {
    app.__name__: app
    for app in (
        fastapi_bare,
        fastapi_guarded,
        fastapi_current_user,
        starlette_bare,
        starlette_guarded,
        whole,
        sweeping,
        refresh_floor,
        login_floor,
    )
}


def main(name: str, core: str, descriptor: str) -> None:
    stay_on(int(core) if core else None)
    config = uvicorn.Config(
        APPS[name](),
        loop="uvloop",
        http="httptools",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        log_level="warning",
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(descriptor))])


if __name__ == "__main__":
    main(*sys.argv[1:])
