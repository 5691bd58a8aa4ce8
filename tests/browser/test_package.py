"""What npm would publish of the browser client, and what of it is in the wheel."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from tests.needs import node_modules, npm_path

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "src" / "watchword" / "browser"
MODULES = {path.name for path in CLIENT.glob("*.js")}
PACKAGE = json.loads((CLIENT / "package.json").read_text())


def test_npm_would_publish_the_modules_their_types_and_no_more(tmp_path: Path) -> None:
    """DESIGN §3: the files that are served are the files that are published."""
    for path in CLIENT.iterdir():
        shutil.copy(path, tmp_path)
    tsc: list[str | Path] = [node_modules() / ".bin" / "tsc", "-p", CLIENT, "--outDir", tmp_path]
    subprocess.run(tsc, cwd=ROOT, check=True, capture_output=True)
    done = subprocess.run(
        [npm_path(), "pack", "--dry-run", "--json", "--ignore-scripts", "--offline", "--no-update-notifier"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    [packed] = told.values() if isinstance(told, dict) else told
    types = {name.removesuffix(".js") + ".d.ts" for name in MODULES}
    assert {file["path"] for file in packed["files"]} == {
        *("LICENSE", "README.md", "package.json"),
        *MODULES,
        *types,
    }
    assert (CLIENT / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_package_says_where_each_module_and_its_types_are() -> None:
    exports = {name: path for name, path in PACKAGE["exports"].items() if name != "./package.json"}
    named = {target["default"].removeprefix("./") for target in exports.values()}
    assert named == MODULES - {"wire.js"}, "which is client.js's own"
    for target in exports.values():
        assert list(target) == ["types", "default"], "whoever asks for types takes the first that fits"
        assert target["types"] == target["default"].removesuffix(".js") + ".d.ts"


def test_the_wheel_has_the_modules_and_nothing_of_npm(tmp_path: Path) -> None:
    build: list[str | Path] = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with ZipFile(wheel) as inside:
        names = {name for name in inside.namelist() if name.startswith("watchword/browser/")}
    assert names == {f"watchword/browser/{name}" for name in MODULES}
