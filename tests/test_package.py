"""What is published: the wheel, and the pins that it was tested with."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
NEEDED = ("pyproject.toml", "README.md", "LICENSE")


def build(folder: Path) -> Path:
    """A wheel of a copy of the sources, made by the build backend that pyproject.toml names, without a network."""
    copy = folder / "copy"
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in NEEDED:
        shutil.copy(ROOT / name, copy)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")],
        cwd=copy,
        check=True,
        capture_output=True,
    )
    [wheel] = (folder / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("one")), build(tmp_path_factory.mktemp("other"))


def test_two_builds_are_one_wheel(wheels: tuple[Path, Path]) -> None:
    """ASVS 15.1.2: whoever builds it again can compare."""
    one, other = (hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels)
    assert one == other


def test_the_wheel_holds_the_package_and_nothing_else(wheels: tuple[Path, Path]) -> None:
    """ASVS 13.4.1, 15.2.3: no tests, no benches, no history; migrations, templates and types come along."""
    with ZipFile(wheels[0]) as wheel:
        names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"watchword"}
    assert not [name for name in names if re.search(r"(^|/)(tests?|bench|\.git)(/|$)|\.pyc$|\.db$", name)]
    there = {
        path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*") if path.is_file()
    }
    npm = re.compile(r"watchword/browser/(README\.md|LICENSE|.*\.json|.*\.d\.ts)$")
    wanted = {name for name in there if "__pycache__" not in name and not npm.match(name)}
    assert wanted <= set(names)


@pytest.mark.parametrize("file", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda file: file.name)
def test_every_pin_is_a_version_with_its_hashes_and_no_address(file: Path) -> None:
    """ASVS 15.1.2, 15.2.4: what is installed is what was tested, wherever it comes from."""
    text = file.read_text(encoding="utf-8")
    pins = re.split(
        r"\n(?=[a-z0-9])", "\n".join(line for line in text.splitlines() if line.strip()[:1] != "#")
    )
    pins = [pin for pin in pins if pin.strip()]
    assert len(pins) > 10
    for pin in pins:
        assert re.match(r"[a-z0-9.\[\],-]+==[^ ]+ ", pin), pin
        assert "--hash=sha256:" in pin, pin
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
