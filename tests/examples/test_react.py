"""examples/react in Chromium: built by Vite, served on another origin than its API."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.examples.stage import EXAMPLES, chromium, running, tell_of_notes
from tests.needs import node_modules, node_path

FOLDER = EXAMPLES / "react"


async def test_the_story_is_told_by_a_page_of_another_origin(tmp_path: Path) -> None:
    """R14, R24, R27–R29, W2, W3: mode hybrid, CORS with credentials."""
    with files(tmp_path) as page:
        async with running("react", access_ttl="1s", trusted_origins=page) as api, chromium() as context:
            build(tmp_path, api)
            await tell_of_notes(context, f"{page}/")


def build(folder: Path, api: str) -> None:
    """As `npm run build` does."""
    vite = node_modules("examples/react") / "vite/bin/vite.js"
    done = subprocess.run(
        [node_path(), str(vite), "build", f"--outDir={folder}", "--emptyOutDir"],
        cwd=FOLDER,
        env={**os.environ, "VITE_API_URL": api},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def files(folder: Path) -> Iterator[str]:
    """The address of a server of a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
