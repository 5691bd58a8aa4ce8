"""Where the peers are installed: each in an environment of its own, outside of the repository, from the versions and
hashes that its folder records. An environment is named after those, so that a change of them makes a new one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchword-bench"
_NODE_FILES = ("package.json", "package-lock.json", ".npmrc", "serve.mjs")


class NotInstalledError(Exception):
    """A peer that cannot be installed here; its text is the reason, which the results name."""


def python(peer: str) -> Path:
    """The interpreter of a peer's environment, made if need be. Raises NotInstalledError."""
    requirements = HERE / peer / "requirements.txt"
    place = CACHE / f"{peer}-{_short_digest(requirements)}-py{sys.version_info.major}{sys.version_info.minor}"
    interpreter = place / "bin" / "python"
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        _run(peer, [sys.executable, "-m", "venv", str(place)])
        hashed = ["--quiet", "--require-hashes", "-r", str(requirements)]
        uv = shutil.which("uv", path=str(Path(sys.executable).parent))
        if uv is not None:
            _run(peer, [uv, "pip", "install", "--python", str(interpreter), *hashed])
        else:
            _run(peer, [str(interpreter), "-m", "pip", "install", *hashed])
        (place / "complete").touch()
    return interpreter


def node(peer: str) -> Path:
    """The folder in which a peer's `serve.mjs` runs, made if need be. Raises NotInstalledError."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        raise NotInstalledError(f"there is no {' and no '.join(missing)} on this machine")
    files = [HERE / peer / name for name in _NODE_FILES]
    place = CACHE / f"{peer}-{_short_digest(*files)}-node{node_version().partition('.')[0]}"
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for file in files:
            shutil.copy(file, place)
        _run(peer, ["npm", "ci", "--loglevel=error"], place)
        # The one package with a part in C++; no other install script runs (.npmrc).
        _run(peer, ["npm", "rebuild", "better-sqlite3", "--ignore-scripts=false", "--loglevel=error"], place)
        (place / "complete").touch()
    return place


def node_version() -> str:
    """As `20.20.2`."""
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return told.strip().removeprefix("v")


def node_packages(peer: str) -> list[str]:
    """What its package.json names, as `better-auth 1.7.25`."""
    wanted = json.loads((HERE / peer / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return [f"{name} {version}" for name, version in wanted.items()]


def installed(peer: str, *names: str) -> str:
    """Those packages with the versions that a peer's environment has. Raises NotInstalledError."""
    told = (
        "import sys, importlib.metadata as m; print(', '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))"
    )
    command = [str(python(peer)), "-c", told, *names]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _short_digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _run(peer: str, command: list[str], place: Path | None = None) -> None:
    print(f"bench: installing {peer} …", file=sys.stderr, flush=True)
    ended = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if ended.returncode:
        last = (ended.stderr or ended.stdout).strip().splitlines()[-1:] or ["no output"]
        raise NotInstalledError(f"`{Path(command[0]).name} {command[1]}` failed: {last[0]}")
