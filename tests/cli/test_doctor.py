"""`watchword doctor` in real environments: each thing that it finds, and nothing else.

Where the line of each piece of advice runs is in `test_advice`; what belongs on the list, in `test_checklist`.
"""

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.programs import Run, run, spoken
from tests.needs import redis_url
from watchword.cli import doctor
from watchword.drivers.clock import SystemClock

GOOD = "kVd3x1hVnqk0S5m3cO9lYpXyQ0oY4S6h"
HEALTHY = {"secret": GOOD, "smtp_url": "smtp://127.0.0.1", "events_file": "events.jsonl"}
HTTPS = HEALTHY | {"url": "https://app.example.com", "trusted_proxies": "10.0.0.1"}


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
        ({"redis_url": "redis://:canary@127.0.0.1:1/0"}, "redis", "WATCHWORD_REDIS_URL"),
        ({"database_url": "sqlite:///none.db"}, "schema", "There is no database at"),
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


def test_a_redis_that_counts_is_nothing_to_mend(verb: Run) -> None:
    assert findings(verb, **HEALTHY, redis_url=redis_url()) == []


def test_a_healthy_house_behind_a_proxy_has_nothing_to_mend(verb: Run) -> None:
    assert findings(verb, **HTTPS) == []


@pytest.mark.parametrize(
    ("settings", "check", "mend"),
    [
        ({"url": "http://localhost", "cookie_samesite": "none"}, "settings", "https"),
        ({"trusted_origins": "*"}, "settings", "https://app.example.com"),
        ({"trusted_origins": "https://*.example.com"}, "settings", "is no origin"),
        ({"cookie_domain": "com"}, "settings", "such as example.com"),
        ({"cookie_domain": "github.io", "url": "https://ada.github.io"}, "public-suffix", "leave it out"),
        ({"cookie_domain": "example.com"}, "cookie-domain", "leave it out"),
        ({"cookie_prefix": "none"}, "cookie-prefix", "set it to auto"),
        ({"cookie_samesite": "none"}, "cookie-samesite", "csrf to token"),
        ({"trusted_origins": "http://www.example.com"}, "http-origin", "by https"),
        ({"trusted_origins": "https://app.example.org"}, "cross-site", "cookie_samesite to none"),
        ({"trusted_proxies": ""}, "proxy", "WATCHWORD_TRUSTED_PROXIES"),
        ({"trusted_proxies": "0.0.0.0/0"}, "proxy-range", "name your proxies alone"),
        ({"rotation_window": "0"}, "rotation-window", "20s"),
        ({"access_ttl": "1h"}, "access-ttl", "at most 15m"),
        ({"refresh_ttl": "60d", "session_max": "60d"}, "refresh-ttl", "at most 30d"),
        ({"session_max": "365d"}, "session-max", "at most 90d"),
        ({"access_claims": "email"}, "access-claims", "ask /auth/me"),
        ({"synchronous": "normal"}, "synchronous", "set it to full"),
        ({"smtp_url": ""}, "mail", "watchword mail test"),
    ],
    ids=str,
)
def test_what_works_and_is_unwise_is_named_with_how_to_mend_it(
    verb: Run, settings: dict[str, str], check: str, mend: str
) -> None:
    """R11, R25, W13, W14; ASVS 3.3.1, 3.3.3, 3.5.1, 4.1.3, 7.3.1, 7.3.2."""
    [finding] = findings(verb, **(HTTPS | settings))
    assert finding["check"] == check
    assert mend in finding["message"]


def test_a_database_elsewhere_without_verified_tls_is_found_though_it_is_silent(
    verb: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ASVS 12.3.1, 12.3.2. 0.0.0.0 is refused at once, and is no loopback address."""
    away = HEALTHY | {"database_url": "postgresql://nobody:canary@0.0.0.0:1/none"}
    found = findings(verb, **away)
    assert [finding["check"] for finding in found] == ["database-tls", "database"]
    assert "sslmode=verify-full" in found[0]["message"]
    assert "canary" not in str(found)
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert [finding["check"] for finding in findings(verb, **away)] == ["database"]


def test_a_database_url_that_cannot_be_read_is_told_once(verb: Run) -> None:
    [finding] = findings(verb, **(HEALTHY | {"database_url": "postgresql://a:b:canary@[::1/none"}))
    assert (finding["check"], "canary" in finding["message"]) == ("database", False)


def test_workers_come_by_option_or_as_servers_read_them(verb: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "at most 4 workers" in verb("doctor", "--workers=16", **HEALTHY).stdout
    monkeypatch.setenv("WEB_CONCURRENCY", "16")
    assert [finding["check"] for finding in findings(verb, **HEALTHY)] == ["workers"]
    assert spoken(verb("doctor", "--workers=2", **HEALTHY)) == "nothing to mend\n"


def test_what_was_decided_is_accepted_and_nothing_else(verb: Run) -> None:
    unwise = HTTPS | {"cookie_domain": "example.com", "cookie_prefix": "none"}
    done = verb("doctor", "--accept=cookie-domain", **unwise)
    assert (done.exit_code, done.stdout.partition(":")[0]) == (1, "cookie-prefix")
    assert spoken(verb("doctor", "--accept=cookie-domain", "--accept=cookie-prefix", **unwise))


@pytest.mark.parametrize("check", ["settings", "production", "database", "schema", "unheard-of"])
def test_what_stops_a_server_cannot_be_accepted(verb: Run, check: str) -> None:
    assert verb("doctor", f"--accept={check}", **HEALTHY).exit_code == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no mountinfo")
def test_a_database_file_on_a_network_disk_is_found(
    verb: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that Linux describes its mounts in is another one here; the database file is real."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"30 27 0:40 / {tmp_path} rw shared:5 - nfs4 files:/export rw\n")
    monkeypatch.setattr(doctor, "MOUNTS", mounts)
    [finding] = findings(verb, **HEALTHY)
    assert (finding["check"], "nfs4" in finding["message"]) == ("disk", True)
    (tmp_path / "link.db").symlink_to(tmp_path / "watchword.db")
    [finding] = findings(verb, **HEALTHY, database_url="sqlite:///link.db")
    assert finding["check"] == "disk"


def test_a_file_that_is_no_database_is_told_once(verb: Run, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("nothing but text\n" * 100)
    (tmp_path / "text.db").chmod(0o600)
    [finding] = findings(verb, **HEALTHY, database_url="sqlite:///text.db")
    assert finding["check"] == "database"


def test_a_secret_file_that_others_may_read_is_found(verb: Run, tmp_path: Path) -> None:
    """ASVS 13.3.1."""
    file = tmp_path / "secret"
    file.write_text(GOOD)
    file.chmod(0o640)
    settings = HEALTHY | {"secret_file": str(file)}
    del settings["secret"]
    [finding] = findings(verb, **settings)
    assert f"chmod 600 {file}" in finding["message"]
    file.chmod(0o600)
    assert findings(verb, **settings) == []


def test_a_database_file_that_others_may_read_is_found(verb: Run, tmp_path: Path) -> None:
    (tmp_path / "watchword.db").chmod(0o644)
    [finding] = findings(verb, **HEALTHY)
    assert (finding["check"], "chmod 600" in finding["message"]) == ("file", True)


@pytest.mark.parametrize(
    ("file", "mend"),
    [
        ("folder", "name another"),
        ("none/events.jsonl", "make one"),
        ("open.jsonl", "chmod o="),
        ("", "name a file"),
    ],
)
def test_a_file_for_events_that_would_not_do_is_found(
    verb: Run, tmp_path: Path, file: str, mend: str
) -> None:
    """ASVS 16.4.2."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "open.jsonl").touch(0o644)
    [finding] = findings(verb, **HEALTHY | {"events_file": file})
    assert (finding["check"], mend in finding["message"]) == ("events", True)


def test_a_file_for_events_that_will_do_is_left_alone(verb: Run, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    assert findings(verb, **HEALTHY | {"events_file": str(file)}) == []
    assert not file.exists()
    file.touch(0o640)
    assert findings(verb, **HEALTHY | {"events_file": str(file)}) == []


def test_a_stale_schema_is_found(verb: Run, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "watchword.db")) as connection, connection:
        connection.execute("UPDATE ww_schema_version SET version_num = '0000'")
    [finding] = findings(verb, **HEALTHY)
    assert (finding["check"], "watchword migrate" in finding["message"]) == ("schema", True)


def test_a_clock_of_long_ago_is_found(verb: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """F8."""
    monkeypatch.setattr(SystemClock, "now", lambda self: 86_400_000_000)
    assert "clock" in {finding["check"] for finding in findings(verb, **HEALTHY)}


def test_several_things_are_found_at_once(verb: Run, tmp_path: Path) -> None:
    (tmp_path / "watchword.db").chmod(0o644)
    found = findings(verb, url="https://app.example.com", secret="abcdefghijklmnop" * 2)
    assert {finding["check"] for finding in found} == {"secret", "proxy", "mail", "events", "file"}


def test_without_any_setting_it_still_answers() -> None:
    told = json.loads(run("doctor", "--json").stdout)
    assert {finding["check"] for finding in told["findings"]} == {"production", "mail", "events", "schema"}
