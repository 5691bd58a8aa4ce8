"""Programs of tests/node, run to their end: JSON goes in on standard input, JSON comes out on standard output.

A program that needs packages gets those of tests/node/package.json, which `make node` installs.
"""

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
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
    done = _run([script, *words], stdin=json.dumps(stdin), env=env or {}, seconds=seconds)
    if done.returncode != 0:
        pytest.fail(f"{script} ended with {done.returncode}:\n{done.stderr}{done.stdout}", pytrace=False)
    try:
        return json.loads(done.stdout or "null")
    except ValueError:
        pytest.fail(f"{script} printed no JSON: {done.stdout}\n{done.stderr}", pytrace=False)


def run_node_tests(file: str, *, seconds: float = 120) -> int:
    """How many tests of `tests/node/<file>`, written for node:test, have passed; a failure that shows those that did
    not. `node --test` runs the same file by hand."""
    done = _run([file], stdin="", env={"NODE_NO_WARNINGS": "1"}, seconds=seconds)
    if done.returncode != 0:
        pytest.fail(f"{file}:\n{done.stdout}{done.stderr}", pytrace=False)
    passed = re.search(r"^\S+ pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed, done.stdout
    return int(passed[1])


def _run(
    words: Sequence[str], *, stdin: str, env: Mapping[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    folder = node_modules().parent
    node = node_path()
    # What browsers, and every Node from 20 on, have without asking: the `crypto` that jose signs and verifies with.
    flags = ["--experimental-global-webcrypto"] if node_release(node) < 20 else []
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("WATCHWORD_")}
    try:
        return subprocess.run(
            [node, *flags, str(folder / words[0]), *words[1:]],
            input=stdin,
            env={**inherited, "NO_PROXY": NO_PROXY, "no_proxy": NO_PROXY, **env},
            cwd=folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as late:
        said = b"".join(part for part in (late.stdout, late.stderr) if isinstance(part, bytes))
        pytest.fail(
            f"{words[0]} did not end within {seconds} s: {said.decode(errors='replace')}", pytrace=False
        )
