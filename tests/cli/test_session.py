"""`watchword session`: what is listed, what can be ended, what is refused."""

import json

import pytest

from tests.cli.programs import Run, refusal, spoken
from watchword.auth import Watchword
from watchword.cli import console
from watchword.cli.opened import administer
from watchword.core.session import Client
from watchword.flows.sign_in import start_session
from watchword.settings import Mode, Settings

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 \x1b[31m"


@pytest.fixture
def sids(verb: Run) -> list[str]:
    """Two sessions of ada's, the newer one first."""

    async def sign_in(auth: Watchword) -> str:
        now = auth.world.clock.now()
        ada = await auth.users.get("ada")
        client = Client("203.0.113.7", FIREFOX)
        grant = await start_session(
            auth.world, ada, read_at=now, amr=("pwd",), client=client, mode=Mode.COOKIES, replaces=None
        )
        assert grant is not None
        return grant.session.sid

    settings = Settings.parse({"database_url": "sqlite:///watchword.db"})
    return [administer(sign_in, settings=settings) for _ in range(2)][::-1]


def test_live_sessions_are_listed_newest_first_without_their_secrets(verb: Run, sids: list[str]) -> None:
    """ASVS 7.5.2, 15.3.1."""
    listed = json.loads(spoken(verb("session", "list", "ada", "--json")))
    assert [row["id"] for row in listed] == sids
    assert set(listed[0]) == {
        *("id", "label", "ip", "mode", "created_at", "last_used_at", "expires_at", "auth_time")
    }
    assert (listed[0]["label"], listed[0]["ip"]) == ("Firefox on Linux", "203.0.113.7")


def test_what_strangers_wrote_cannot_steer_the_terminal(verb: Run, sids: list[str]) -> None:
    """Attack 95."""
    assert "\x1b" not in spoken(verb("session", "list", "ada"))


def test_one_session_is_ended(verb: Run, sids: list[str]) -> None:
    """ASVS 7.4.5, 16.3.1: and it is told who did so."""
    spoken(verb("session", "revoke", sids[0]))
    told = json.loads(spoken(verb("events", "--json", "--limit=1")))
    assert [(row["name"], row["sid"], row["by"]) for row in told] == [("session_ended", sids[0], "cli")]
    assert [row["id"] for row in json.loads(spoken(verb("session", "list", "ada", "--json")))] == sids[1:]


@pytest.mark.parametrize("again", [True, False], ids=["ended", "unknown"])
def test_a_session_that_is_none_cannot_be_ended(verb: Run, sids: list[str], again: bool) -> None:
    sid = sids[0] if again else "0199aaaa-0000-7000-8000-000000000000"
    if again:
        spoken(verb("session", "revoke", sid))
    assert refusal(verb("session", "revoke", sid)) == f"there is no session {sid} that could be ended"


def test_all_sessions_of_a_user_are_ended_with_yes(verb: Run, sids: list[str]) -> None:
    """ASVS 7.4.5."""
    assert spoken(verb("session", "revoke", "--user", "ada", "--yes")) == "2 sessions have ended\n"
    assert json.loads(spoken(verb("session", "list", "ada", "--json"))) == []
    assert spoken(verb("session", "revoke", "--user", "ada", "--yes")) == "0 sessions have ended\n"


def test_ending_all_asks_for_yes_where_nobody_can_be_asked(verb: Run, sids: list[str]) -> None:
    refused = verb("session", "revoke", "--user", "ada")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert len(json.loads(spoken(verb("session", "list", "ada", "--json")))) == 2


def test_ending_all_asks_a_person(verb: Run, sids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "asks_a_person", lambda: True)
    assert verb("session", "revoke", "--user", "ada", stdin="n\n").exit_code == 1
    assert len(json.loads(spoken(verb("session", "list", "ada", "--json")))) == 2


@pytest.mark.parametrize("words", [[], ["a-sid", "--user", "ada"]])
def test_neither_or_both_is_wrong_usage(verb: Run, words: list[str]) -> None:
    assert verb("session", "revoke", *words, "--yes").exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["user", "disable", "ada"],
        ["user", "password", "ada", "--password-stdin"],
        ["user", "delete", "ada", "--yes"],
    ],
)
def test_what_takes_a_login_away_ends_its_sessions(verb: Run, sids: list[str], words: list[str]) -> None:
    """ASVS 7.4.2, 7.4.3."""
    spoken(verb(*words, stdin="another password altogether"))
    for sid in sids:
        assert "could be ended" in refusal(verb("session", "revoke", sid))


@pytest.mark.parametrize("words", [["list", "bob"], ["revoke", "--user", "bob", "--yes"]])
def test_sessions_of_nobody_are_refused(verb: Run, words: list[str]) -> None:
    assert refusal(verb("session", *words)) == "There is no such user."
