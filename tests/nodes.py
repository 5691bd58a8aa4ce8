"""Programs of tests/node, run to their end: JSON goes in on standard input, JSON comes out on standard output.

A program that needs packages gets those of tests/node/package.json, which `make node` installs.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from tests.needs import node_modules, node_path, node_release

NO_PROXY = "127.0.0.1,localhost"
"""Servers of tests are on this machine; axios would ask the proxy that the environment names, if any, for them."""


def run_node(
    script: str, *words: str, stdin: Any = None, env: Mapping[str, str] | None = None, seconds: float = 60
) -> Any:
    """What `tests/node/<script>` printed, as JSON (None for nothing), or a failure that shows what it said.

    `stdin` is whatever JSON can say; `env` is added to the environment. Skips without Node or the packages.
    """
    folder = node_modules().parent
    node = node_path()
    # What browsers, and every Node from 20 on, have without asking: the `crypto` that jose signs and verifies with.
    flags = ["--experimental-global-webcrypto"] if node_release(node) < 20 else []
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("WATCHWORD_")}
    try:
        done = subprocess.run(
            [node, *flags, str(folder / script), *words],
            input=json.dumps(stdin),
            env={**inherited, "NO_PROXY": NO_PROXY, "no_proxy": NO_PROXY, **(env or {})},
            cwd=folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as late:
        said = b"".join(part for part in (late.stdout, late.stderr) if isinstance(part, bytes))
        pytest.fail(
            f"{script} did not end within {seconds} s: {said.decode(errors='replace')}", pytrace=False
        )
    if done.returncode != 0:
        pytest.fail(f"{script} ended with {done.returncode}:\n{done.stderr}{done.stdout}", pytrace=False)
    try:
        return json.loads(done.stdout or "null")
    except ValueError:
        pytest.fail(f"{script} printed no JSON: {done.stdout}\n{done.stderr}", pytrace=False)
