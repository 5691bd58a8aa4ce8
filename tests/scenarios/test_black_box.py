"""A running server in its default mode with a window of one second, seen from outside."""

import time
from collections.abc import Iterator

import pytest

from tests.servers import EMAIL, PASSWORD, Answer, Browser, Server, prepared, serving

WINDOW = 1.0
NOWHERE = "/nowhere"
"""Guarded, and nothing is there: 404 for the signed-in, 401 for all others, with no look at the database."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    database = tmp_path_factory.mktemp("black-box") / "watchword.db"
    with serving(prepared(f"sqlite:///{database}", rotation_window="1s")) as running:
        yield running


@pytest.fixture
def browser(server: Server) -> Browser:
    browser = Browser(server.url)
    browser.sign_in()
    return browser


def test_a_wrong_password_and_an_unknown_user_are_answered_alike(server: Server) -> None:
    """ASVS 6.3.8, attack 65: status, body and header names and values, but for what is random or the time."""
    wrong = _attempt(server, EMAIL, "not the password")
    unknown = _attempt(server, "nobody@example.com", PASSWORD)
    assert wrong.status == unknown.status == 401
    assert _stable(wrong) == _stable(unknown)
    assert wrong.cookies() == unknown.cookies() == {}


def test_every_token_cookie_is_httponly_and_no_body_holds_a_token(browser: Browser, server: Server) -> None:
    """R1, R3, R8, ASVS 3.3.4."""
    answer = Browser(server.url).sign_in()
    lines = [value for name, value in answer.headers if name.lower() == "set-cookie"]
    assert {line.partition("=")[0] for line in lines} == {"access_token", "refresh_token"}
    assert all("; HttpOnly" in line and "; Path=/" in line for line in lines)
    assert not any(token in str(answer.body) for token in answer.cookies().values())


def test_a_second_tab_inside_the_window_gets_the_same_refresh_token(browser: Browser) -> None:
    """W7, W16, R19, attack 34."""
    other_tab = Browser(browser.url, dict(browser.jar))
    first = browser.send("POST", "/auth/refresh")
    second = other_tab.send("POST", "/auth/refresh")
    assert first.status == second.status == 200
    assert first.cookies()["refresh_token"] == second.cookies()["refresh_token"]
    assert first.cookies()["access_token"] != second.cookies()["access_token"]


def test_a_replay_later_ends_session_and_access_token_at_once(browser: Browser) -> None:
    """R41, W6, attack 33, ASVS 10.4.5."""
    stolen = Browser(browser.url, dict(browser.jar))
    for _ in range(2):  # so that the copy is older than the parent
        assert browser.send("POST", "/auth/refresh").status == 200
        time.sleep(WINDOW * 1.1)
    assert browser.send("POST", "/auth/refresh").status == 200
    time.sleep(WINDOW * 1.1)
    assert browser.send("GET", NOWHERE).status == 404

    replay = stolen.send("POST", "/auth/refresh")
    assert (replay.status, replay.code) == (401, "refresh_reused")
    assert replay.cookies() == {}
    refused = browser.send("GET", NOWHERE)
    assert (refused.status, refused.code) == (401, "session_ended")
    over = browser.send("POST", "/auth/refresh")
    assert (over.status, over.code) == (401, "session_ended")


def test_logout_ends_session_and_access_token_at_once(browser: Browser) -> None:
    """R7, R23, R38, W8, W9, ASVS 7.4.1."""
    copy = Browser(browser.url, dict(browser.jar))
    assert copy.send("GET", NOWHERE).status == 404
    assert browser.send("POST", "/auth/logout").body == {"ok": True, "message": "Logged out"}
    assert browser.jar == {}
    assert copy.send("GET", NOWHERE).code == "session_ended"
    assert copy.send("POST", "/auth/refresh").code == "session_ended"


def _attempt(server: Server, email: str, password: str) -> Answer:
    return Browser(server.url).send("POST", "/auth/login", {"email": email, "password": password})


def _stable(answer: Answer) -> tuple[dict[str, str], list[tuple[str, str]]]:
    body = {name: value for name, value in answer.body.items() if name != "request_id"}
    return body, [(name, value) for name, value in answer.headers if name.lower() != "date"]
