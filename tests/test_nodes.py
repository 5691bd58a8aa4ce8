"""The packages of tests/node are pinned like those of Python, and a program that fails says why."""

import json
from pathlib import Path

import pytest

from tests.needs import node_modules
from tests.nodes import run_node

FOLDER = Path(__file__).parent / "node"
LOCK = FOLDER / "package-lock.json"


def test_the_lock_has_a_hash_for_every_package_and_no_address() -> None:
    """DESIGN §10: what is fetched is decided by version and hash, not by where some machine fetched it from."""
    text = LOCK.read_text(encoding="utf-8")
    assert "://" not in text, "npm run lock, in tests/node"
    packages = json.loads(text)["packages"]
    root = packages.pop("")
    assert root["devDependencies"] == json.loads((FOLDER / "package.json").read_text())["devDependencies"]
    assert all(version[0].isdigit() for version in root["devDependencies"].values()), "exact versions"
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
