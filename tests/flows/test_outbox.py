"""One step of sending: what is written and told for each thing that a mail server can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.flows.stepping import NOW, SECOND, Lab, step
from watchword import events
from watchword.core.keys import KeyRing
from watchword.core.mail import LIFE, Letter, Mail, Queued, Seals
from watchword.errors import MailDelayed, MailError, MailRefused, MailUnreachable, Unavailable
from watchword.flows.outbox import LEASE, opened, sealed, send_next

MINUTE = 60


class Server:
    """Implements `ports.Mailer`: takes letters over, unless its next word is an error or something to do first."""

    def __init__(self, *words: MailError | Callable[[], object]) -> None:
        self.words = list(words)
        self.letters: list[Letter] = []

    async def send(self, letter: Letter) -> None:
        word = self.words.pop(0) if self.words else None
        if isinstance(word, MailError):
            raise word
        self.letters.append(letter)
        if word is not None:
            word()

    async def rest(self) -> None:
        pass


def queue(lab: Lab, **options: Any) -> Mail:
    mail = sealed(lab.world, "test", "ada@example.com", {"code": "123456"}, **options)
    step(lab.store.queue_mail(mail))
    return mail


def send(lab: Lab, server: Server, unnoted: list[str] | None = None) -> bool:
    return step(send_next(lab.world, server, [] if unnoted is None else unnoted))


def row(lab: Lab) -> Queued:
    [found] = step(lab.store.list_mail(before=None, limit=2))
    return found


def test_what_is_queued_is_sent_once_and_noted(lab: Lab) -> None:
    server = Server()
    mail = queue(lab)
    assert send(lab, server)
    assert [(letter.id, letter.to) for letter in server.letters] == [(mail.id, "ada@example.com")]
    assert (row(lab).sent_at, row(lab).mail.sealed) == (NOW, b"")
    lab.travel(30 * 86_400)
    assert not send(lab, server)
    assert len(server.letters) == 1


def test_an_empty_outbox_is_a_reason_to_rest(lab: Lab) -> None:
    assert not send(lab, Server())


def test_a_message_ends_after_three_days_unless_it_says_when(lab: Lab) -> None:
    assert queue(lab).expires_at == NOW + LIFE
    assert queue(lab, expires_at=NOW + 600).expires_at == NOW + 600


def test_a_payload_is_sealed_where_it_waits(lab: Lab) -> None:
    """ASVS 11.3.2, 14.2.4, 11.7.2: a leaked database holds no code."""
    queue(lab)
    assert b"123456" not in row(lab).mail.sealed
    assert lab.world.seals.open(row(lab).mail.sealed, mail_id=row(lab).mail.id) == {"code": "123456"}


def test_no_two_seals_are_alike(lab: Lab) -> None:
    """ASVS 11.3.4."""
    assert len({queue(lab).sealed[:15] for _ in range(50)}) == 50


def test_a_delay_is_told_and_tried_again_until_it_works(lab: Lab) -> None:
    server = Server(MailDelayed("greylisted (450)", "ada@example.com later"), MailDelayed("busy (451)"))
    queue(lab)
    lab.forget_log()
    assert send(lab, server), "another message may fare better"
    assert row(lab).last_error == "greylisted (450): ada@example.com later"
    assert not send(lab, server), "not due yet"
    for seconds in (7, 40):
        lab.travel(seconds)
        assert send(lab, server)
    assert len(server.letters) == 1
    assert lab.facts == [events.MAIL_DELAYED] * 2
    assert row(lab).last_error is None


def test_no_event_names_whom_a_message_is_for(lab: Lab) -> None:
    """ASVS 16.2.5: what a server says repeats the address as a rule."""
    queue(lab)
    lab.forget_log()
    send(lab, Server(MailRefused("refused (550)", "<ada@example.com> is nobody")))
    [event] = lab.events
    assert event.detail is not None
    assert event.detail.startswith("test ")
    assert event.detail.endswith(": refused (550)")
    assert "ada" not in event.detail


def test_a_refusal_is_given_up_after_three_tries_with_an_event(lab: Lab) -> None:
    server = Server(*[MailRefused("refused (550)")] * 9)
    queue(lab)
    lab.forget_log()
    for _ in range(10):
        send(lab, server)
        lab.travel(3600)
    assert lab.facts == [events.MAIL_DELAYED, events.MAIL_DELAYED, events.MAIL_FAILED]
    assert (row(lab).tries, row(lab).next_at, row(lab).sent_at) == (3, None, None)


def test_a_server_that_is_away_is_a_reason_to_rest_and_delays_this_message_alone(lab: Lab) -> None:
    server = Server(MailUnreachable("cannot be reached"))
    first, second = queue(lab), queue(lab)
    assert not send(lab, server)
    assert send(lab, server)
    assert [letter.id for letter in server.letters] == [max(first.id, second.id)]
    lab.travel(MINUTE)
    assert send(lab, server)
    assert len(server.letters) == 2


def test_a_message_that_has_expired_is_never_sent(lab: Lab) -> None:
    """A code of yesterday helps nobody, and tells that the rest may be late too."""
    server = Server()
    queue(lab, expires_at=NOW + 600 * SECOND)
    lab.forget_log()
    lab.travel(600)
    assert send(lab, server)
    assert (server.letters, lab.facts) == ([], [events.MAIL_FAILED])
    assert row(lab).next_at is None


def test_a_message_is_given_up_when_its_next_try_would_be_too_late(lab: Lab) -> None:
    queue(lab, expires_at=NOW + 3 * SECOND)
    lab.forget_log()
    send(lab, Server(MailDelayed("busy (451)")))
    assert lab.facts == [events.MAIL_FAILED]


def test_a_sender_that_dies_leaves_its_message_to_the_next(lab: Lab) -> None:
    """I4, F12: at least once. It had said nothing yet, or the server had it already: nobody knows."""

    def die() -> None:
        raise KeyboardInterrupt

    server = Server(die)
    queue(lab)
    with pytest.raises(KeyboardInterrupt):
        send(lab, server)
    assert not send(lab, server), "it may still be under way"
    lab.travel(LEASE / SECOND)
    assert send(lab, server)
    assert len(server.letters) == 2


def test_what_the_server_has_is_not_sent_again_because_the_database_was_away(lab: Lab) -> None:
    """F12: the note is made up for before anything else is sent."""
    server, unnoted = Server(), list[str]()
    queue(lab)
    mail_sent, away = lab.store.mail_sent, [True, True, False]

    async def sometimes(mail_id: str) -> None:
        if away.pop(0):
            raise Unavailable
        await mail_sent(mail_id)

    lab.store.mail_sent = sometimes  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(Unavailable):
            send(lab, server, unnoted)
        lab.travel(LEASE / SECOND)
    assert not send(lab, server, unnoted)
    assert (len(server.letters), unnoted) == (1, [])
    assert row(lab).sent_at is not None


def test_a_slow_sender_that_was_overtaken_tells_nothing(lab: Lab) -> None:
    """It took longer than its lease, and another one has sent the message meanwhile."""
    other = Server()
    mail = queue(lab)
    lab.forget_log()

    async def slowly(letter: Letter) -> None:
        lab.travel(LEASE / SECOND)
        send(lab, other)
        raise MailDelayed("busy (451)")

    slow = Server()
    slow.send = slowly  # type: ignore[method-assign]
    send(lab, slow)
    assert [letter.id for letter in other.letters] == [mail.id]
    assert lab.facts == []
    assert row(lab).sent_at is not None


def test_a_message_under_a_foreign_secret_waits_for_who_can_open_it(lab: Lab) -> None:
    """F17: while secrets rotate, another process may have the key."""
    server, mail = Server(), queue(lab)
    stranger = replace(lab.world, seals=Seals(KeyRing([b"another root secret, 32 characters"])))
    step(send_next(stranger, server, []))
    assert (server.letters, row(lab).sent_at) == ([], None)
    lab.travel(MINUTE)
    assert send(lab, server)
    assert server.letters[0].id == mail.id


def test_a_kind_without_a_template_waits_for_who_has_it(lab: Lab) -> None:
    """F18: a newer version may have queued it."""
    step(lab.store.queue_mail(sealed(lab.world, "from_the_future", "ada@example.com", {})))
    assert send(lab, Server())
    assert row(lab).next_at is not None
    assert "from_the_future is missing" in (row(lab).last_error or "")


def test_the_test_message_says_so(lab: Lab) -> None:
    letter = opened(lab.world, sealed(lab.world, "test", "ada@example.com", {}))
    assert letter.subject == "Test message from testserver"
    assert "testserver can send mail to you." in letter.text
    assert "testserver can send mail to you." in letter.html
