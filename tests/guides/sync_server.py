"""The guide's WSGI app on a threading server of the standard library: `python -m tests.guides.sync_server PORT`."""

import signal
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from tests.guides.sync_app import app, running


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *words: object) -> None:
        """Nobody reads it."""


def serve(port: int) -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with running, make_server("127.0.0.1", port, app, Server, Quiet) as server:
        server.serve_forever(0.05)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
