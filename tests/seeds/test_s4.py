"""S4, bearer tokens, a JWT cookie or a server-side session: what its document asks for, one requirement a test. Its
faults are in test_s4_faults.

Three houses run the three variants of the document, a fourth all five modes at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from tests.cli.programs import run, spoken
from tests.seeds.callers import CALLERS, Python, header, set_cookies
from tests.seeds.forged import parts
from tests.seeds.house import House, names_on_this_machine, running
from tests.seeds.settings import SEEDS
from tests.seeds.stories import Visitor, refuse, replay
from tests.servers import EMAIL, PASSWORD
from watchword.settings import Mode

ADA = {"email": EMAIL, "password": PASSWORD}
WEEK = 7 * 86_400
BEARER, COOKIE, SESSION = "S4 bearer", "S4 cookie", "S4 session"
ALL = "S4 in all modes"
Street = Callable[[str], House]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with names_on_this_machine(), ExitStack() as open_houses:

        @cache
        def house(name: str) -> House:
            folder = tmp_path_factory.mktemp("house")
            if name == ALL:
                return open_houses.enter_context(running(BEARER, folder, mode=",".join(Mode)))
            return open_houses.enter_context(running(name, folder))

        yield house


def visiting(street: Street, name: str) -> Visitor:
    visitor = Visitor(name, Python(street(name)))
    visitor.sign_in()
    return visitor


def test_r43_login_answers_a_token_for_the_authorization_header(street: Street) -> None:
    """R43: `POST /login` with `email` and `password` → `{token}`, which opens `GET /profile` as a bearer token.

    The answer has more fields beside it, for clients that renew; the document's reads `token` alone.
    """
    client = Python(street(BEARER))
    answer = client.send("POST", "/login", ADA)
    assert answer.status == 200
    bearer = {"Authorization": f"Bearer {answer.body['token']}"}
    profile = client.send("GET", "/profile", headers=bearer)
    assert (profile.status, profile.body["id"]) == (200, answer.body["user"]["id"])


def test_r43_the_token_is_verified(street: Street) -> None:
    """R43: the server verifies it: nothing else in the header opens anything."""
    visitor = visiting(street, BEARER)
    assert visitor.access is not None
    head, claims, signature = visitor.access.split(".")
    stranger = Python(street(BEARER))
    for wrong in ("Bearer", "Bearer nonsense", f"Bearer {head}.{claims}.{signature[::-1]}", visitor.access):
        assert stranger.send("GET", "/profile", headers={"Authorization": wrong}).status == 401, wrong


def test_r43_fetch_and_axios_attach_it_by_themselves(street: Street) -> None:
    """R43: a wrapper around fetch and Axios with a default header, from a client that never hears of refreshing."""
    told = street(BEARER).node("bearer.mjs")
    for kind in ("fetch", "axios"):
        assert [answer["status"] for answer in told[kind]] == [401, 200, 200, 200, 401], kind
        _, profile, saved, out, _ = (answer["data"] for answer in told[kind])
        assert saved == {"saved": {"a": 1}, "by": profile["id"]}
        assert out["message"] == "Logged out"


def test_r44_a_token_is_either_in_the_body_or_in_an_httponly_cookie(street: Street) -> None:
    """R44: of the three places that the document names we support the HttpOnly cookie, and memory instead of the two
    storages: any script on the page reads those. What a client does with a body is its own; what can be shown is that
    memory is enough, and that no token is in reach of scripts where cookies are used."""
    bearer = Visitor(BEARER, Python(street(BEARER)))
    assert set_cookies(bearer.sign_in()) == {}
    bearer.work()
    for name in (COOKIE, SESSION):
        visitor = Visitor(name, Python(street(name)))
        answer = visitor.sign_in()
        assert all("; HttpOnly" in line for line in set_cookies(answer).values())
        assert not any(token in str(answer.body) for token in visitor.caller.jar.values())


@pytest.mark.parametrize("kind", CALLERS)
def test_r45_the_jwt_is_in_a_strict_cookie(kind: str, street: Street, tmp_path: Path) -> None:
    """R45: cookie `token`, HttpOnly, Secure, SameSite=Strict, which the server reads."""
    visitor = Visitor(COOKIE, CALLERS[kind](street(COOKIE), tmp_path))
    line = set_cookies(visitor.sign_in())["token"]
    assert set(line.split("; ")[1:]) == {
        "HttpOnly",
        "Secure",
        "SameSite=Strict",
        "Path=/",
        f"Max-Age={WEEK}",
    }
    head, _ = parts(visitor.caller.jar["token"])
    assert head["alg"] == "HS256"
    visitor.work()


@pytest.mark.parametrize("kind", CALLERS)
def test_r46_the_session_is_in_a_strict_cookie(kind: str, street: Street, tmp_path: Path) -> None:
    """R46: cookie `sessionId`, HttpOnly, Secure, SameSite=Strict; opaque, so that it says nothing by itself."""
    visitor = Visitor(SESSION, CALLERS[kind](street(SESSION), tmp_path))
    line = set_cookies(visitor.sign_in())["sessionId"]
    assert {"HttpOnly", "Secure", "SameSite=Strict", "Path=/"} <= set(line.split("; "))
    assert "." not in visitor.caller.jar["sessionId"]
    visitor.work()


def test_r46_the_session_is_looked_up_and_refused_when_absent(street: Street) -> None:
    """R46: looked up in the database, or in a cache of seconds that its end empties: an id that is absent, wrong, or
    whose session has just been revoked elsewhere is refused. The database holds nothing that could be presented."""
    visitor = Visitor(SESSION, Python(street(SESSION)))
    sid = visitor.sign_in().body["session"]["id"]
    house, token = street(SESSION), visitor.caller.jar["sessionId"]
    for wrong in ("", sid, token[:-4] + "AAAA"):
        headers = {"Cookie": f"sessionId={wrong}"}
        assert Python(house).send("GET", "/profile", headers=headers).status == 401, wrong
    file = Path(house.settings["database_url"].removeprefix("sqlite:///"))
    kept = b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))
    assert kept.startswith(b"SQLite format 3")
    assert token.encode() not in kept
    visitor.work()
    spoken(run("session", "revoke", sid, **house.settings))
    deadline = time.monotonic() + 10
    while visitor.send("GET", "/profile").status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("name", [COOKIE, SESSION])
def test_r47_pages_send_their_cookies_with_credentials(name: str, street: Street) -> None:
    """R47: `fetch(…, {credentials: "include"})` from the page's origin: preflight and answers give it leave."""
    visitor = visiting(street, name)
    page = visitor.caller.house.page
    asking = {
        "Origin": page,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    leave = Python(street(name)).send("OPTIONS", "/data", headers=asking)
    answer = visitor.caller.send("POST", "/data", {}, {"Origin": page})
    assert (leave.status, answer.status) == (204, 200)
    for each in (leave, answer):
        assert header(each, "access-control-allow-origin") == page
        assert header(each, "access-control-allow-credentials") == "true"


@pytest.mark.parametrize("name", [BEARER, COOKIE, SESSION])
def test_r47_logout_says_so_and_clears_the_cookie(name: str, street: Street) -> None:
    """R47: `POST /logout` → the cookie is cleared, `{message: "Logged out"}`; our answer has `ok` beside it."""
    visitor = visiting(street, name)
    held = set(visitor.caller.jar)
    out = visitor.sign_out()
    assert out.body["message"] == "Logged out"
    assert set(set_cookies(out)) == held
    for line in set_cookies(out).values():
        assert "; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict" in line


def test_r48_a_token_needs_no_browser_and_no_state_at_the_client(street: Street) -> None:
    """R48: JWTs for mobile, APIs and services: one header is all, no origin, no jar; other services verify them by
    published keys, which tests/verifiers shows with three strangers' libraries."""
    visitor = visiting(street, BEARER)
    headers = {"Authorization": f"Bearer {visitor.access}", "Origin": "null"}
    assert Python(street(BEARER)).send("POST", "/data", {}, headers).status == 200


def test_r48_a_sign_out_invalidates_the_token(street: Street) -> None:
    """R48: "logout requires an invalidation strategy": the session ends, and its tokens are refused at once."""
    visitor = visiting(street, BEARER)
    copy = visitor.copy()
    assert replay(visitor, copy, "GET", "/profile").status == 200
    visitor.sign_out()
    assert replay(visitor, copy, "GET", "/profile").code == "session_ended"
    refuse(visitor, copy)


def test_r49_the_documents_need_every_mode(street: Street) -> None:
    """R49: the union of their transports is ours; test_stories tells each of them whole."""
    assert {seed["mode"] for seed in SEEDS.values()} == {mode.value for mode in Mode}


@pytest.mark.parametrize("mode", Mode)
def test_r49_one_server_speaks_all_of_them(mode: Mode, street: Street) -> None:
    """R49: with a list of modes a client names its own when it signs in, in `X-Auth-Mode`, and never again."""
    client = Python(street(ALL))
    answer = client.send("POST", "/login", ADA, {"X-Auth-Mode": mode.value})
    assert ("token" in answer.body) == mode.access_in_body
    assert ("refresh_token" in answer.body) == (mode is Mode.BEARER)
    bearer = {"Authorization": f"Bearer {answer.body['token']}"} if mode.access_in_body else {}
    assert client.send("GET", "/profile", headers=bearer).status == 200
    assert client.send("POST", "/data", {}, bearer).status == 200
    held = {"refresh_token": answer.body["refresh_token"]} if mode is Mode.BEARER else None
    renewed = client.send("POST", "/refresh", held, {"X-Auth-Mode": Mode.BEARER.value})
    assert renewed.status == 200
    assert ("token" in renewed.body, "refresh_token" in renewed.body) == (mode.access_in_body, bool(held))
    assert client.send("POST", "/logout", headers=bearer).status == 200
    assert client.send("GET", "/profile", headers=bearer).status == 401
