"""`watchword dev`: from an empty folder to a sign-in, on this machine alone."""

import json
import logging
import os
import re
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.programs import PASSWORD, program, refusal, run, spoken
from tests.servers import Browser
from watchword.cli import listen
from watchword.settings import Settings

LOGIN = re.compile(r"Login +(demo@example\.com), password (\S+)")
FOLDER = Path(".watchword")
DATABASE = "sqlite:///.watchword/dev.db"


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Any]]]:
    """What uvicorn would have served and where, instead of serving it; it is ready at once."""
    made: list[tuple[str, Any]] = []

    def told(factory: str, listener: socket.socket, *, ready: Any, **_: Any) -> None:
        made.append((factory, listener.getsockname()))
        listener.close()
        ready()

    monkeypatch.setattr(listen, "run", told)
    return made  # type: ignore[return-value]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_stranger_signs_in_with_what_is_printed_and_is_still_signed_in_after_a_restart(
    tmp_path: Path,
) -> None:
    """R1, R12: two minutes to a working login."""
    env = dict(os.environ)
    with program("dev", "--port=0", env=env, cwd=tmp_path) as dev:
        banner = dev.said_until("Ctrl+C")
        printed = LOGIN.search(banner)
        assert printed
        urls = re.findall(r"(http://127\.0\.0\.1:\d+)(/\S+)", banner)
        assert [path for _, path in urls] == [
            *("/auth/", "/profile", "/auth/account", "/auth/dev/promises", "/auth/dev/inbox"),
            "/auth/openapi.json",
        ]
        home = urls[0][0]
        browser = Browser(home)
        assert [browser.send("GET", path).status for _, path in urls] == [200] * 6
        assert browser.send("GET", "/auth/me").status == 401

        browser.sign_in(*printed.groups())
        me = browser.send("GET", "/auth/me")
        assert (me.status, me.body["user"]["email"]) == (200, "demo@example.com")
        assert dev.stop(signal.SIGTERM) == 0
        assert "Traceback" not in dev.complaints()

    port = home.rpartition(":")[2]
    with program("dev", f"--port={port}", env=env, cwd=tmp_path) as dev:
        again = LOGIN.search(dev.said_until("Ctrl+C"))
        assert again
        assert again.groups() == printed.groups()
        assert browser.send("GET", "/auth/me").status == 200
        assert browser.send("POST", "/auth/refresh").status == 200
        with pytest.raises(OSError, match="refused"):  # another address of this machine
            Browser(home).send("GET", "/auth/", to=f"127.0.0.2:{port}")
        assert dev.stop(signal.SIGINT) == 0
        assert "Traceback" not in dev.complaints()


def test_what_it_makes_is_for_its_owner_alone_and_never_committed(stubbed: list[Any]) -> None:
    """ASVS 6.3.2, 13.3.1."""
    spoken(run("dev", "--port=0"))
    assert mode(FOLDER) == 0o700
    made = {path.name: mode(path) for path in FOLDER.iterdir() if not path.name.startswith("dev.db-")}
    assert made == {"secret": 0o600, "demo-password": 0o600, "dev.db": 0o600, ".gitignore": 0o600}
    assert (FOLDER / ".gitignore").read_text() == "*\n"
    assert [(factory, address[0]) for factory, address in stubbed] == [
        ("watchword.server.dev:create_app", "127.0.0.1")
    ]


def test_no_two_folders_share_a_password_or_secret(
    stubbed: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ASVS 6.3.2, 13.2.3: there is no well-known account."""
    kept = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        for setting in ("SECRET_FILE", "DATABASE_URL", "URL"):
            os.environ.pop(f"WATCHWORD_{setting}", None)
        spoken(run("dev", "--port=0"))
        kept |= {(FOLDER / "demo-password").read_text(), (FOLDER / "secret").read_text()}
    assert len(kept) == 4


def test_given_settings_are_used_instead(stubbed: list[Any], tmp_path: Path) -> None:
    given = {
        "secret": "canary-canary-0123456789-abcdefghij",
        "database_url": f"sqlite:///{tmp_path}/mine.db",
        "url": "http://localhost:9000",
        "prefix": "/id",
    }
    banner = spoken(run("dev", "--port=0", **given))
    assert "Sign in   http://localhost:9000/id/\n" in banner
    assert f"Database  {tmp_path}/mine.db\n" in banner
    assert "canary" not in banner
    assert {path.name for path in FOLDER.iterdir()} == {"demo-password", ".gitignore"}
    # Nobody is added to a database that somebody named: it may be the one that counts.
    assert "demo@example.com" not in banner
    assert json.loads(run("user", "list", "--json", database_url=given["database_url"]).stdout) == []


@pytest.mark.parametrize(
    ("settings", "prefix"),
    [({"mode": "bearer"}, "/auth"), ({"pages": "off"}, "/auth"), ({"pages": "off", "prefix": "none"}, "")],
)
def test_where_no_page_signs_in_the_way_to_do_it_is_printed(
    stubbed: list[Any], settings: dict[str, str], prefix: str
) -> None:
    """A profile page would lead to a sign-in page that cannot sign in, and back."""
    banner = spoken(run("dev", "--port=0", url="http://localhost:9000", **settings))
    assert f"Sign in   POST http://localhost:9000{prefix}/login with email and password, as JSON\n" in banner
    assert f"OpenAPI   http://localhost:9000{prefix}/openapi.json\n" in banner
    assert "/profile" not in banner


def test_a_password_that_somebody_set_stays(stubbed: list[Any]) -> None:
    first = LOGIN.search(spoken(run("dev", "--port=0")))
    assert first
    words = ("user", "password", "demo@example.com", "--password-stdin")
    spoken(run(*words, stdin=PASSWORD, database_url=DATABASE))
    banner = spoken(run("dev", "--port=0"))
    assert "demo@example.com, with the password that somebody set" in banner
    assert first[2] not in banner


def test_the_settings_that_it_makes_are_production_strong(stubbed: list[Any]) -> None:
    spoken(run("dev", "--port=0"))
    settings = Settings.from_env()
    assert (len(settings.secret[0]), settings.database_url, settings.loopback) == (64, DATABASE, True)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"url": "https://app.example.com"}, "is for this machine alone, use `watchword serve`"),
        ({"url": "http://0.0.0.0:8000"}, "is for this machine alone"),
        ({"url": "http://192.0.2.1:8000"}, "is for this machine alone"),
        ({"url": "http://127.0.0.1.example.com"}, "is for this machine alone"),
        ({"database_url": "memory:"}, "memory store"),
        ({"secret": "short"}, "32 are needed"),
        ({"urll": "http://127.0.0.1"}, "did you mean WATCHWORD_URL?"),
    ],
)
def test_it_refuses_what_is_not_for_this_machine_or_wrong_and_makes_nothing(
    stubbed: list[Any], settings: dict[str, str], reason: str
) -> None:
    """Attack 100."""
    assert reason in refusal(run("dev", "--port=0", **settings))
    assert (stubbed, FOLDER.exists()) == ([], False)


def test_it_cannot_be_asked_to_listen_elsewhere(stubbed: list[Any]) -> None:
    """Attack 100."""
    assert run("dev", "--host", "0.0.0.0").exit_code == 2
    assert stubbed == []


def test_a_taken_port_is_one_line_and_nothing_else(stubbed: list[Any]) -> None:
    with listen.bind("127.0.0.1", 0) as holder:
        port = holder.getsockname()[1]
        assert refusal(run("dev", "--port", str(port))).startswith(f"port {port} on 127.0.0.1 is taken: ")
    assert (stubbed, FOLDER.exists()) == ([], False)


def test_a_folder_that_cannot_be_made_is_one_line(stubbed: list[Any]) -> None:
    FOLDER.write_text("in the way")
    assert refusal(run("dev", "--port=0")).startswith("cannot write to .watchword/: ")
    assert stubbed == []


def test_an_app_that_cannot_start_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The banner comes only when requests are answered."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    monkeypatch.setattr("watchword.server.dev.create_app", lambda: broken)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    done = run("dev", "--port=0")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.endswith("watchword: the server could not start: the lines above say why\n")
