"""`watchword doctor`: each thing that it finds, and nothing else."""

import json
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.programs import Run, run, spoken
from watchword.cli.doctor import MIN_BITS, _bits
from watchword.drivers.clock import SystemClock

GOOD = "kVd3x1hVnqk0S5m3cO9lYpXyQ0oY4S6h"
HEALTHY = {"secret": GOOD}


def findings(verb: Run, **settings: str) -> list[dict[str, str]]:
    """What it finds, told as JSON; the text says as much in as many lines."""
    done = verb("doctor", "--json", **settings)
    told = json.loads(done.stdout)
    assert (done.exit_code, told["ok"]) == ((1, False) if told["findings"] else (0, True))
    if told["findings"]:
        text = verb("doctor", **settings)
        assert (text.exit_code, len(text.stdout.splitlines())) == (1, len(told["findings"]))
    found: list[dict[str, str]] = told["findings"]
    return found


def test_a_healthy_house_has_nothing_to_mend(verb: Run) -> None:
    assert findings(verb, **HEALTHY) == []
    assert spoken(verb("doctor", **HEALTHY)) == "nothing to mend\n"


@pytest.mark.parametrize(
    ("settings", "check", "mend"),
    [
        ({"secret": ""}, "production", "watchword secret"),
        ({"secret": "short"}, "settings", "watchword secret"),
        ({"secret": "change-me-" * 4 + "0123456789"}, "production", "placeholder"),
        ({"secret": "abcdefghijklmnop" * 2}, "secret", "watchword secret"),
        ({"secret": "a" * 25 + "bcdefghijklm"}, "secret", "watchword secret"),
        ({"secret_ttl": "5"}, "settings", "is not a setting"),
        ({"access_ttl": "soon"}, "settings", "15m"),
        ({"url": "http://app.example.com"}, "production", "https"),
        ({"url": "https://app.example.com"}, "proxy", "WATCHWORD_TRUSTED_PROXIES"),
        ({"database_url": "memory:"}, "production", "memory store"),
        ({"database_url": "postgresql://nobody:canary@127.0.0.1:1/none"}, "database", "does not answer"),
        ({"database_url": "sqlite:///none.db"}, "database", "watchword migrate"),
    ],
)
def test_what_is_wrong_is_named_with_how_to_mend_it(
    verb: Run, settings: dict[str, str], check: str, mend: str
) -> None:
    """ASVS 6.3.2, attack 96."""
    [finding] = findings(verb, **(HEALTHY | settings))
    assert finding["check"] == check
    assert mend in finding["message"]
    assert "canary" not in finding["message"]


def test_a_secret_file_that_others_may_read_is_found(verb: Run, tmp_path: Path) -> None:
    """ASVS 13.3.1."""
    file = tmp_path / "secret"
    file.write_text(GOOD)
    file.chmod(0o640)
    [finding] = findings(verb, secret_file=str(file))
    assert f"chmod 600 {file}" in finding["message"]
    file.chmod(0o600)
    assert findings(verb, secret_file=str(file)) == []


def test_a_database_file_that_others_may_read_is_found(verb: Run, tmp_path: Path) -> None:
    (tmp_path / "watchword.db").chmod(0o644)
    [finding] = findings(verb, **HEALTHY)
    assert (finding["check"], "chmod 600" in finding["message"]) == ("file", True)


def test_a_stale_schema_is_found(verb: Run, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "watchword.db")) as connection, connection:
        connection.execute("UPDATE ww_schema_version SET version_num = '0000'")
    [finding] = findings(verb, **HEALTHY)
    assert (finding["check"], "watchword migrate" in finding["message"]) == ("database", True)


def test_a_clock_of_long_ago_is_found(verb: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """F8."""
    monkeypatch.setattr(SystemClock, "now", lambda self: 86_400_000_000)
    assert "clock" in {finding["check"] for finding in findings(verb, **HEALTHY)}


def test_several_things_are_found_at_once(verb: Run, tmp_path: Path) -> None:
    (tmp_path / "watchword.db").chmod(0o644)
    found = findings(verb, url="https://app.example.com", secret="abcdefghijklmnop" * 2)
    assert {finding["check"] for finding in found} == {"secret", "proxy", "file"}


@pytest.mark.parametrize("make", [lambda: secrets.token_hex(16), lambda: secrets.token_urlsafe(24)])
def test_generated_secrets_are_never_suspected(make: Callable[[], str]) -> None:
    """The shortest that are allowed."""
    assert min(_bits(make()) for _ in range(5_000)) > MIN_BITS


def test_without_any_setting_it_still_answers() -> None:
    told = json.loads(run("doctor", "--json").stdout)
    assert {finding["check"] for finding in told["findings"]} == {"production", "database"}
