"""The pytest plugin: its fixtures, as the tests of an app would use them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from watchword.auth import Watchword
from watchword.core.user import User
from watchword.errors import SettingsError
from watchword.fastapi import CurrentUser, StoredUser, install, public, require
from watchword.flows.follow import poll
from watchword.settings import Settings
from watchword.testing import Mailbox, TravellingClock, make_auth, sign_in_as

LogIn = Callable[..., User]
MODES = ("cookies", "hybrid", "bearer")
PASSWORD = "a long way to Samarkand"
HERE = {"origin": "http://testserver"}
GUIDE = Path(__file__).parents[1] / "docs/guides/testing.md"


def an_app(auth: Watchword) -> FastAPI:
    """Somebody's app."""
    app = FastAPI()
    install(app, auth)

    @app.get("/profile")
    async def profile(user: CurrentUser) -> dict[str, Any]:
        return {"id": user.id, "roles": user.roles}

    @app.get("/email")
    async def email(user: StoredUser) -> str:
        return user.email

    @app.post("/rename")
    async def rename(user: CurrentUser) -> str:
        return user.id

    @app.get("/owners", dependencies=[require(role="owner", fresh="5m")])
    async def owners(user: CurrentUser) -> str:
        return user.id

    @app.get("/")
    @public
    async def home() -> str:
        return "hello"

    return app


def create(client: TestClient, auth: Watchword, email: str) -> None:
    assert client.portal is not None
    client.portal.call(lambda: auth.users.create(email, PASSWORD))


def sign_in(client: TestClient, email: str) -> Any:
    return client.post("/auth/login", json={"email": email, "password": PASSWORD})


@pytest.fixture(params=MODES)
def auth(request: pytest.FixtureRequest, watchword_clock: TravellingClock) -> Watchword:
    return make_auth(watchword_clock, mode=request.param)


@pytest.fixture
def client(auth: Watchword) -> Iterator[TestClient]:
    with TestClient(an_app(auth)) as client:
        yield client


def test_nobody_is_signed_in_until_login_as(client: TestClient, auth: Watchword, login_as: LogIn) -> None:
    """The first thing that an app's test wants to see."""
    assert client.get("/").json() == "hello"
    assert client.get("/profile").status_code == 401
    user = login_as(client, auth, "ada@example.com")
    assert client.get("/profile").json() == {"id": user.id, "roles": []}
    assert client.get("/email").json() == "ada@example.com"


def test_unsafe_requests_of_a_signed_in_client_pass_the_csrf_gate(
    client: TestClient, auth: Watchword, login_as: LogIn
) -> None:
    """In every mode: the client sends what a page of ours would."""
    user = login_as(client, auth, "ada@example.com")
    assert client.post("/rename").json() == user.id
    assert client.get("/auth/me").json()["user"]["id"] == user.id


def test_roles_are_given_to_a_new_user(client: TestClient, auth: Watchword, login_as: LogIn) -> None:
    """And asked for by `require`."""
    login_as(client, auth, "eve@example.com")
    assert client.get("/owners").status_code == 403
    user = login_as(client, auth, "ada@example.com", roles=["owner"])
    assert client.get("/owners").json() == user.id


def test_the_mailbox_has_the_code_that_a_sign_in_waits_for(
    watchword_clock: TravellingClock,
) -> None:
    """The newest of an address, with a clock that stands still and in however many sign-ins; nobody else's."""
    auth = make_auth(watchword_clock, two_factor="required")
    mailbox = Mailbox(auth)
    with TestClient(an_app(auth), headers=HERE) as client:
        create(client, auth, "ada@example.com")
        create(client, auth, "eve@example.com")
        codes = []
        for _ in range(5):
            assert sign_in(client, "ada@example.com").json()["next"]["step"] == "two_factor"
            codes.append(mailbox.code_for("Ada@Example.com"))
            assert client.post("/auth/login/2fa", json={"code": codes[-1]}).status_code == 200
        assert len(mailbox.letters("ada@example.com")) == 5
        with pytest.raises(
            LookupError, match=r"no message to eve@example.com has a code in it; there is nothing"
        ):
            mailbox.code_for("eve@example.com")


def test_the_mailbox_has_the_link_that_sets_a_new_password(
    watchword_auth: Watchword, mailbox: Mailbox
) -> None:
    """And tells what else there is when there is none."""
    with TestClient(an_app(watchword_auth), headers=HERE) as client:
        create(client, watchword_auth, "ada@example.com")
        client.post("/auth/password/forgot", json={"email": "ada@example.com"})
        new = {"token": mailbox.link_for("ada@example.com"), "new_password": "another way to Samarkand"}
        assert client.post("/auth/password/reset", json=new).status_code == 200
        assert client.post("/auth/password/reset", json=new).status_code == 401
        with pytest.raises(
            LookupError, match=r"has a code in it; there is '.*password.*', 'A new password for"
        ):
            mailbox.code_for("ada@example.com")


def test_a_mailbox_of_a_database_says_that_it_cannot_be_read() -> None:
    """Its verbs would have to wait, and what was sent is wiped there."""
    auth = Watchword(
        Settings.parse({"secret": make_auth().settings.secret[0], "database_url": "sqlite:///here.db"})
    )
    with pytest.raises(SettingsError, match="make_auth"):
        Mailbox(auth)


def test_the_guide_can_be_done_as_it_stands(tmp_path: Path) -> None:
    """docs/guides/testing.md: its files, in a folder of their own, run by pytest."""
    for block in re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.M | re.S):
        name = block.partition("\n")[0].removeprefix("# ")
        (tmp_path / name).write_text(block, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "4 passed" in run.stdout


def test_signing_in_again_changes_who_it_is(client: TestClient, auth: Watchword, login_as: LogIn) -> None:
    """The last one counts; the same address is the same user."""
    ada = login_as(client, auth, "ada@example.com")
    eve = login_as(client, auth, "eve@example.com")
    assert ada.id != eve.id
    assert client.get("/profile").json()["id"] == eve.id
    assert login_as(client, auth, "ada@example.com").id == ada.id
    assert client.get("/profile").json()["id"] == ada.id


def test_travelling_makes_tokens_expire_and_sign_ins_old(
    client: TestClient, auth: Watchword, login_as: LogIn, watchword_clock: TravellingClock
) -> None:
    """The one clock of guards, sessions and tokens."""
    login_as(client, auth, "ada@example.com", roles=["owner"])
    watchword_clock.travel("6m")
    assert client.get("/profile").status_code == 200
    assert client.get("/owners").json()["code"] == "reauthentication_required"
    watchword_clock.travel(timedelta(minutes=10))
    assert client.get("/profile").json()["code"] == "token_expired"


def test_a_client_can_also_sign_in_by_itself(client: TestClient, auth: Watchword) -> None:
    """With a password and over the real route; hashing is cheap."""
    create(client, auth, "ada@example.com")
    client.headers.update(HERE)
    answer = sign_in(client, "ada@example.com")
    assert answer.status_code == 200
    token = answer.json().get("access_token")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    assert client.get("/profile", headers=headers).status_code == 200


def test_login_as_works_with_a_client_whose_app_was_not_started(auth: Watchword, login_as: LogIn) -> None:
    """`TestClient(app)` without `with`, as most tutorials have it."""
    client = TestClient(an_app(auth))
    assert client.get("/profile").status_code == 401
    user = login_as(client, auth, "ada@example.com")
    assert client.get("/profile").json()["id"] == user.id


def test_a_disabled_user_cannot_be_signed_in(client: TestClient, auth: Watchword, login_as: LogIn) -> None:
    """The test is told instead of seeing 401s that it cannot explain."""
    login_as(client, auth, "ada@example.com")
    assert client.portal is not None
    client.portal.call(lambda: auth.users.disable("ada@example.com"))
    with pytest.raises(SettingsError, match="is not active"):
        login_as(client, auth, "ada@example.com")


def test_watchword_auth_is_a_whole_installation_on_the_travelling_clock(
    watchword_auth: Watchword, watchword_clock: TravellingClock, login_as: LogIn
) -> None:
    """For apps without a fixture of their own."""
    with TestClient(an_app(watchword_auth)) as client:
        login_as(client, watchword_auth, "ada@example.com")
        assert client.get("/profile").status_code == 200
        watchword_clock.travel("1h")
        assert client.get("/profile").status_code == 401


def test_two_installations_of_a_test_do_not_trust_each_other() -> None:
    """Each has a secret of its own, so a test cannot pass by accident."""
    one, two = make_auth(), make_auth()
    assert one.settings.secret != two.settings.secret
    assert one.settings.url == "http://testserver"


async def test_the_headers_can_be_had_without_a_client() -> None:
    """`sign_in_as`, for tests that speak ASGI or use another client."""
    for mode in MODES:
        auth = make_auth(mode=mode)
        user, headers = await sign_in_as(auth, "ada@example.com")
        await poll(auth.world, None)
        principal = auth.authenticate([(k.encode(), v.encode()) for k, v in headers.items()], method="GET")
        assert principal is not None
        assert principal.id == user.id


def test_settings_of_a_test_are_checked_like_all_others() -> None:
    """A misspelt one does not go unnoticed."""
    with pytest.raises(SettingsError, match="did you mean"):
        make_auth(acess_ttl="5m")
    assert make_auth(access_ttl="5m").settings.access_ttl == timedelta(minutes=5)
    assert isinstance(make_auth().settings, Settings)


def test_the_travelling_clock_stands_still_until_told() -> None:
    """In both directions, by text or timedelta."""
    clock = TravellingClock()
    start = clock.now()
    assert clock.now() == start
    clock.travel("200ms")
    clock.travel(timedelta(seconds=-1))
    assert clock.now() - start == -800_000
    with pytest.raises(ValueError, match="duration"):
        clock.travel("a while")
