"""`watchword user`: a life from creation to deletion, and everything that is refused on the way."""

import json
from functools import partial
from pathlib import Path

import pytest

from tests.cli.programs import PASSWORD, Run, refusal, run, spoken
from watchword.auth import Watchword
from watchword.cli import console
from watchword.cli.opened import administer
from watchword.core.factor import Factor, Method
from watchword.core.user import Status
from watchword.flows import users
from watchword.settings import Settings

STDIN = "--password-stdin"
SECRET = "kVd3x1hVnqk0S5m3cO9lYpXyQ0oY4S6h"


def test_a_created_user_is_active_verified_and_listed(verb: Run) -> None:
    [ada] = json.loads(spoken(verb("user", "list", "--json")))
    assert ada["email"] == "ada@example.com"
    assert (ada["username"], ada["roles"], ada["status"]) == ("ada", ["owner"], "active")
    assert ada["email_verified"] is True


def test_no_answer_shows_a_digest(verb: Run) -> None:
    """ASVS 15.3.1: what is shown is listed by name."""
    assert "argon2" not in spoken(verb("user", "show", "ada", "--json")) + spoken(verb("user", "list"))


@pytest.mark.parametrize("login", ["ada@example.com", "ADA@Example.COM", "ada"])
def test_a_user_is_found_by_address_and_by_name(verb: Run, login: str) -> None:
    assert json.loads(spoken(verb("user", "show", login, "--json")))["email"] == "ada@example.com"


def test_a_user_is_shown_to_people_line_by_line(verb: Run) -> None:
    lines = dict(line.split(maxsplit=1) for line in spoken(verb("user", "show", "ada")).splitlines())
    assert (lines["email"], lines["email_verified"], lines["roles"]) == ("ada@example.com", "yes", "owner")


def test_all_users_are_listed_in_the_order_of_creation(verb: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watchword.cli.user.PAGE", 2)
    emails = ["zoe@example.com", "bob@example.com", "eve@example.com", "dan@example.com"]
    for email in emails:
        spoken(verb("user", "create", email, STDIN, stdin=PASSWORD))
    expected = ["ada@example.com", *emails]
    assert [user["email"] for user in json.loads(spoken(verb("user", "list", "--json")))] == expected
    assert [line.split()[0] for line in spoken(verb("user", "list")).splitlines()] == expected


def test_no_users_are_an_empty_list(database: str) -> None:
    assert json.loads(spoken(run("user", "list", "--json", database_url=database))) == []
    assert spoken(run("user", "list", database_url=database)) == ""


def test_disabling_and_enabling_change_the_status(verb: Run) -> None:
    for what, status in (("disable", "disabled"), ("enable", "active")):
        spoken(verb("user", what, "ada"))
        assert json.loads(spoken(verb("user", "show", "ada", "--json")))["status"] == status


def test_enabling_verifies_nobody(verb: Run, tmp_path: Path) -> None:
    """Attack 75, decision 17: the address is proved by its owner or not at all."""

    async def sign_up(auth: Watchword) -> None:
        await users.create(auth.world, "eve@example.com", None, status=Status.UNVERIFIED)

    administer(sign_up, settings=Settings.parse({"database_url": f"sqlite:///{tmp_path}/watchword.db"}))
    spoken(verb("user", "disable", "eve@example.com"))
    assert "must verify the address first" in spoken(verb("user", "enable", "eve@example.com"))
    assert json.loads(spoken(verb("user", "show", "eve@example.com", "--json")))["status"] == "unverified"


def test_a_second_step_is_shown_and_turned_off(verb: Run, tmp_path: Path) -> None:
    """For who has lost their mailbox (ASVS 6.3.7, 7.4.3)."""
    assert spoken(verb("user", "factors", "ada")) == ""
    off = partial(verb, "user", "factors", "ada", "--off", secret=SECRET)
    assert spoken(off()) == "ada has no second step\n"

    async def turn_on(auth: Watchword) -> None:
        ada = await auth.users.get("ada")
        await auth.world.store.add_factor(Factor("f1", ada.id, Method.EMAIL, 0), now=0, keep=None)

    administer(turn_on, settings=Settings.parse({"database_url": f"sqlite:///{tmp_path}/watchword.db"}))
    [factor] = json.loads(spoken(verb("user", "factors", "ada", "--json")))
    assert (factor["id"], factor["method"]) == ("f1", "email")
    assert spoken(verb("user", "factors", "ada")).split()[0] == "email"
    assert "WATCHWORD_SECRET is missing" in refusal(verb("user", "factors", "ada", "--off"))
    assert spoken(off()) == "turned off the second step of ada; all sessions have ended\n"
    assert json.loads(spoken(verb("user", "factors", "ada", "--json"))) == []
    nobody = verb("user", "factors", "nobody", "--off", secret=SECRET)
    assert refusal(nobody) == refusal(verb("user", "factors", "nobody"))


def test_roles_are_replaced_and_cleared(verb: Run) -> None:
    assert spoken(verb("user", "role", "ada", "editor", "admin")) == "roles of ada: admin, editor\n"
    assert json.loads(spoken(verb("user", "show", "ada", "--json")))["roles"] == ["admin", "editor"]
    spoken(verb("user", "role", "ada", "--clear"))
    assert json.loads(spoken(verb("user", "show", "ada", "--json")))["roles"] == []


@pytest.mark.parametrize("words", [["ada"], ["ada", "admin", "--clear"]])
def test_roles_without_a_clear_wish_are_wrong_usage(verb: Run, words: list[str]) -> None:
    refused = verb("user", "role", *words)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--clear" in refused.stderr
    assert json.loads(spoken(verb("user", "show", "ada", "--json")))["roles"] == ["owner"]


def test_a_deleted_user_is_gone(verb: Run) -> None:
    spoken(verb("user", "delete", "ada", "--yes"))
    assert json.loads(spoken(verb("user", "list", "--json"))) == []
    assert refusal(verb("user", "show", "ada")) == "There is no such user."


def test_deleting_asks_for_yes_where_nobody_can_be_asked(verb: Run) -> None:
    refused = verb("user", "delete", "ada")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    spoken(verb("user", "show", "ada"))


def test_deleting_asks_a_person_and_takes_no_for_an_answer(
    verb: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "asks_a_person", lambda: True)
    refused = verb("user", "delete", "ada", stdin="n\n")
    assert refused.exit_code == 1
    assert refused.stderr.endswith("watchword: nothing was changed\n")
    assert verb("user", "delete", "ada", stdin="y\n").exit_code == 0
    assert json.loads(spoken(verb("user", "list", "--json"))) == []


@pytest.mark.parametrize("what", ["show", "enable", "disable", "role", "password", "delete"])
def test_a_verb_about_nobody_is_refused(verb: Run, what: str) -> None:
    more = {"role": ["x"], "password": [STDIN], "delete": ["--yes"]}.get(what, [])
    assert refusal(verb("user", what, "bob@example.com", *more, stdin=PASSWORD)) == "There is no such user."


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["not-an-address"], "email"),
        (["bob@example.com", "--username=b@b"], "username"),
        (["bob@example.com", "--role=Big Boss"], "roles"),
    ],
)
def test_a_field_that_is_not_valid_is_named(verb: Run, words: list[str], field: str) -> None:
    assert refusal(verb("user", "create", *words, STDIN, stdin=PASSWORD)).startswith(f"{field}: ")
    assert len(json.loads(spoken(verb("user", "list", "--json")))) == 1


def test_a_taken_address_is_refused(verb: Run) -> None:
    assert "There is a user with this address" in refusal(
        verb("user", "create", "ADA@example.com", STDIN, stdin=PASSWORD)
    )


@pytest.mark.parametrize("bad", ["short", "password", "x" * 1025, "x" * 20_000])
def test_a_password_that_is_not_acceptable_is_refused_and_not_shown(verb: Run, bad: str) -> None:
    """ASVS 6.2.1, 6.2.4, 6.2.8: the rules of the web hold for administrators too; attack 96."""
    reason = refusal(verb("user", "create", "bob@example.com", STDIN, stdin=bad + "\n"))
    assert reason.startswith("password: ")
    assert bad not in reason.removeprefix("password: ")


def test_a_password_is_the_first_line_with_its_blanks(verb: Run) -> None:
    """ASVS 6.2.8: used exactly as given, without the end of its line."""
    from watchword.auth import Watchword
    from watchword.settings import Settings

    url = spoken(verb("user", "password", "ada", STDIN, stdin="  two blanks and an é \r\nnot this\n"))
    assert url == "set a new password for ada; all sessions have ended\n"

    async def right(auth: Watchword, password: str) -> bool:
        digest = (await auth.users.get("ada")).digest
        return await auth.world.hasher.verify(digest, password)

    from watchword.cli.opened import administer

    settings = Settings.parse({"database_url": "sqlite:///watchword.db"})
    assert administer(lambda auth: right(auth, "  two blanks and an é "), settings=settings)


def test_no_password_on_standard_input_is_refused(verb: Run) -> None:
    assert refusal(verb("user", "password", "ada", STDIN)) == "there is no password on standard input"


def test_without_a_terminal_the_password_must_be_piped(verb: Run) -> None:
    refused = verb("user", "create", "bob@example.com", stdin=PASSWORD)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert STDIN in refused.stderr


def test_a_person_is_asked_twice_and_sees_nothing(verb: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "asks_a_person", lambda: True)
    typed = f"{PASSWORD}\n{PASSWORD}\n"
    done = verb("user", "create", "bob@example.com", stdin=typed)
    assert (done.exit_code, done.stdout.startswith("created bob@example.com")) == (0, True)
    assert done.stderr.count("Password") + done.stderr.count("Repeat") == 2
    assert PASSWORD not in done.output
