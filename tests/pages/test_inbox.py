"""The development inbox: what it shows, to whom, and that nobody else has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.flows.stepping import step
from watchword.auth import Watchword
from watchword.core.mail import Mail
from watchword.flows.outbox import sealed
from watchword.pages import inbox
from watchword.server import dev
from watchword.server.app import create_app, standalone
from watchword.settings import Settings
from watchword.storage.memory import MemoryStore
from watchword.storage.sql.migrate import migrate
from watchword.testing import TravellingClock, make_auth

SECRET = "kVd3x1hVnqk0S5m3cO9lYpXyQ0oY4S6h"
PAGE = "/auth/dev/inbox"
HOSTILE = "</pre><script>alert(1)</script>"


@pytest.fixture
def auth(tmp_path: Path) -> Watchword:
    """Watchword over a memory store with the inbox, and a kind of mail that shows a code and a stranger's text."""
    (tmp_path / "note.txt").write_text("Your code\n{{ code }} is your code, {{ code }}. From {{ device }}.")
    (tmp_path / "note.html").write_text("<p>{{ code }} {{ device }}</p>")
    clock = TravellingClock()
    return Watchword(
        Settings.parse({"secret": SECRET, "url": "http://localhost:8000"}),
        store=MemoryStore(clock),
        clock=clock,
        mail_templates=tmp_path,
        features=[inbox.router],
    )


def queue(auth: Watchword, code: str = "123456", device: str = "Firefox") -> Mail:
    mail = sealed(auth.world, "note", "ada@example.org", {"code": code, "device": device})
    step(auth.world.store.queue_mail(mail))
    return mail


def shown(auth: Watchword, host: str = "localhost:8000") -> str:
    answer = TestClient(auth.app, f"http://{host}").get(PAGE)
    assert answer.status_code == 200
    assert "script-src 'nonce-" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    return answer.text


def test_an_empty_inbox_says_so(auth: Watchword) -> None:
    assert "There is no mail." in shown(auth)


def test_messages_are_shown_newest_first_with_their_code_to_copy_once(auth: Watchword) -> None:
    """R1: a second step that can be tried with no mail server."""
    queue(auth, "111111")
    auth.world.clock.travel("1s")  # type: ignore[attr-defined]
    queue(auth, "222222")
    text = shown(auth)
    assert text.index("222222") < text.index("111111")
    assert text.count('data-code="222222"') == 1
    assert "to ada@example.org" in text
    assert "not sent yet" in text


def test_a_strangers_text_is_text(auth: Watchword) -> None:
    """ASVS 1.2.1; attack 99."""
    queue(auth, device=HOSTILE)
    text = shown(auth)
    assert HOSTILE not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_what_became_of_a_message_is_told(auth: Watchword) -> None:
    store = auth.world.store
    queue(auth)
    leased = step(store.lease_mail(span=1))
    assert leased is not None
    step(store.mail_failed(leased, "450 <later>", wait=0))
    assert "tried 1 times: 450 &lt;later&gt;" in shown(auth)
    step(store.mail_failed(leased, "550 never", wait=None))
    assert "given up: 550 never" in shown(auth)
    step(store.mail_sent(leased.mail.id))
    text = shown(auth)
    assert "sent, and its text is no longer kept here" in text
    assert "123456" not in text


def test_an_expired_message_is_still_shown_as_such(auth: Watchword) -> None:
    queue(auth)
    auth.world.clock.travel("4d")  # type: ignore[attr-defined]
    assert "· expired" in shown(auth)


def test_what_cannot_be_shown_does_not_hide_the_rest(auth: Watchword) -> None:
    step(auth.world.store.queue_mail(sealed(auth.world, "unknown", "ada@example.org", {})))
    queue(auth)
    text = shown(auth)
    assert "It cannot be shown: the template of unknown is missing or at fault." in text
    assert "123456" in text


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "192.0.2.1:8000"])
def test_a_page_that_has_its_name_lead_here_reads_nothing(auth: Watchword, host: str) -> None:
    """Attack 100: DNS rebinding."""
    queue(auth)
    answer = TestClient(auth.app, f"http://{host}").get(PAGE)
    assert (answer.status_code, "123456" in answer.text) == (404, False)
    assert "123456" in shown(auth, "127.0.0.1:8000")
    assert "123456" in shown(auth, "[::1]:8000")


def test_no_other_server_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever reads it signs in as anybody: not in an app, not in `serve`, only in `dev`, and only on this machine."""
    assert TestClient(make_auth().app, "http://testserver").get(PAGE).status_code == 404
    auth = make_auth(url="http://localhost")
    assert TestClient(standalone(auth), "http://localhost").get(PAGE).status_code == 404
    migrate(f"sqlite:///{tmp_path}/watchword.db")
    monkeypatch.setenv("WATCHWORD_SECRET", SECRET)
    monkeypatch.setenv("WATCHWORD_DATABASE_URL", f"sqlite:///{tmp_path}/watchword.db")
    for make, status in ((create_app, 404), (dev.create_app, 200)):
        with TestClient(make(), "http://localhost") as client:
            assert client.get(PAGE).status_code == status


def test_it_is_not_in_the_contract(auth: Watchword) -> None:
    assert PAGE not in TestClient(auth.app, "http://localhost").get("/auth/openapi.json").json()["paths"]
