"""The packages of tests/node and of examples are pinned like those of Python; a program that fails says why."""

import json
from pathlib import Path

import pytest

from tests.needs import node_modules
from tests.nodes import run_node

ROOT = Path(__file__).parents[1]
LOCKS = [ROOT / "tests/node/package-lock.json", *sorted(ROOT.glob("examples/*/package-lock.json"))]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_the_lock_has_a_hash_for_every_package_and_no_address(lock: Path) -> None:
    """DESIGN §10: what is fetched is decided by version and hash, not by where some machine fetched it from."""
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text, f"npm run lock, in {lock.parent}"
    packages = json.loads(text)["packages"]
    root = packages.pop("")
    said = json.loads((lock.parent / "package.json").read_text())
    for kind in ("dependencies", "devDependencies"):
        assert root.get(kind) == said.get(kind)
        versions = [
            version for version in said.get(kind, {}).values() if not version.startswith("file:../../src/")
        ]
        assert all(version[0].isdigit() for version in versions), "exact versions"
    assert (lock.parent / ".npmrc").read_text() == (ROOT / "tests/node/.npmrc").read_text()
    ours = {
        name: packages.pop(name)
        for name in [*packages]
        if "src/watchword/browser" in str((name, packages[name]))
    }
    assert all("integrity" not in entry for entry in ours.values())
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert not any("resolved" in entry for entry in packages.values())


def test_what_goes_in_and_comes_out_is_json() -> None:
    said = {"text": "ключ\n😀", "number": 1, "nothing": None}
    assert run_node("echo.mjs", "one", "two words", stdin=said, env={"ECHO": "é"}) == {
        "words": ["one", "two words"],
        "stdin": said,
        "env": "é",
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fail"], "Error: as it was asked to"),
        (["babble"], "printed no JSON"),
        (["hang"], "did not end within"),
    ],
)
def test_a_program_that_fails_says_why(words: list[str], told: str) -> None:
    node_modules()
    with pytest.raises(pytest.fail.Exception, match=told):
        run_node("echo.mjs", *words, seconds=1)
