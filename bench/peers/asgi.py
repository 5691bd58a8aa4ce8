"""Serves the `app` of one adapter, in that adapter's environment: `python asgi.py FILE SOCKET`. As our own apps are."""

from __future__ import annotations

import runpy
import socket
import sys

import uvicorn


def main(file: str, descriptor: str) -> None:
    config = uvicorn.Config(
        runpy.run_path(file)["app"],
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
