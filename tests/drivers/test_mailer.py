"""The way to a mail server, against real ones: what arrives, what is never sent, and what is said when it fails."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest

from tests.smtp import (
    ELSEWHERE,
    GONE,
    HERE,
    PASSWORD,
    USER,
    Authority,
    Post,
    make_authority,
    parts,
    smtp_server,
)
from watchword.core.mail import Letter
from watchword.drivers import mailer as mailers
from watchword.drivers.mailer import SmtpMailer
from watchword.errors import MailDelayed, MailError, MailRefused, MailUnreachable
from watchword.settings import Settings

LOGIN = f"{quote(USER)}:{quote(PASSWORD, safe='')}@"
BRIEF = 0.4
"""Seconds instead of ten, so that a stall is waited for."""


def letter(**changes: Any) -> Letter:
    given = {
        "id": "0192f0c1-0000-7000-8000-000000000001",
        "to": "ada@example.org",
        "subject": "Test message",
        "text": "Plain.\n",
        "html": "<p>Plain.</p>\n",
    }
    return Letter(**(given | changes))


def mailer(url: str, /, **texts: str) -> SmtpMailer:
    settings = Settings.parse({"url": "https://app.example.com", "smtp_url": url} | texts)
    return SmtpMailer(settings, stage_seconds=BRIEF, whole_seconds=4 * BRIEF)


async def send(by: SmtpMailer, *letters: Letter) -> None:
    try:
        for each in letters or [letter()]:
            await by.send(each)
    finally:
        await by.rest()


async def failure(by: SmtpMailer, *letters: Letter) -> MailError:
    with pytest.raises(MailError) as caught:
        await send(by, *letters)
    return caught.value


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """As an operator with an authority of his own names it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


# --- what arrives


async def test_a_letter_arrives_with_its_text_first_and_says_who_sent_it() -> None:
    """RFC 5322, RFC 3834 §5: and no auto-responder answers it."""
    post = Post()
    with smtp_server(post) as address:
        await send(mailer(f"smtp://{address}", mail_from="Häuser <login@example.com>"))
    [got], [envelope] = post.letters, post.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("login@example.com", ["ada@example.org"])
    assert (got["From"], got["To"]) == ("Häuser <login@example.com>", "ada@example.org")
    assert got["Subject"] == "Test message"
    assert got["Auto-Submitted"] == "auto-generated"
    assert got["Message-ID"] == "<0192f0c1-0000-7000-8000-000000000001@app.example.com>"
    assert got["Date"].datetime.tzinfo is not None
    assert parts(got) == [("text/plain", "Plain.\n"), ("text/html", "<p>Plain.</p>\n")]


@pytest.mark.parametrize(
    ("texts", "sender", "shown"),
    [
        ({"mail_from": "Example, Inc. <a@b.org>"}, "a@b.org", '"Example, Inc." <a@b.org>'),
        ({"mail_from": 'A "B" C <a@b.org>'}, "a@b.org", '"A \\"B\\" C" <a@b.org>'),
        ({"mail_from": "eve@example.org <a@b.org>"}, "a@b.org", '"eve@example.org" <a@b.org>'),
        ({"url": "http://192.0.2.1"}, "no-reply@[192.0.2.1]", "no-reply@[192.0.2.1]"),
        ({"url": "http://[2001:db8::1]"}, "no-reply@[IPv6:2001:db8::1]", "no-reply@[IPv6:2001:db8::1]"),
    ],
)
async def test_whatever_the_sender_is_called_its_address_is_one(
    texts: dict[str, str], sender: str, shown: str
) -> None:
    """ASVS 1.3.11."""
    post = Post()
    with smtp_server(post) as address:
        await send(mailer(f"smtp://{address}", **texts))
    assert (post.envelopes[0].mail_from, post.letters[0]["From"]) == (sender, shown)


async def test_without_mail_from_nobody_at_the_host_of_url_sends() -> None:
    post = Post()
    with smtp_server(post) as address:
        await send(mailer(f"smtp://{address}"))
    assert post.envelopes[0].mail_from == "no-reply@app.example.com"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain\n", "7bit"),
        ("straße, 🦊\n", "quoted-printable"),
        ("x" * 3000 + "\n", "quoted-printable"),
        (".\n..\nQUIT\n.\n", "7bit"),
    ],
)
async def test_every_text_arrives_as_it_was_by_plain_means(text: str, encoding: str) -> None:
    """RFC 5321 §4.5.2: a line of a single dot ends nothing. No base64, which filters distrust."""
    post = Post()
    with smtp_server(post) as address:
        await send(mailer(f"smtp://{address}"), letter(text=text))
    assert parts(post.letters[0])[0] == ("text/plain", text)
    assert next(post.letters[0].iter_parts())["Content-Transfer-Encoding"] == encoding
    assert all(len(line) <= 998 for line in (post.envelopes[0].original_content or b"").splitlines())


async def test_several_letters_share_a_connection_and_rest_ends_it() -> None:
    post = Post()
    with smtp_server(post) as address:
        by = mailer(f"smtp://{address}")
        await send(by, letter(), letter(), letter())
        assert (len(post.letters), post.connections) == (3, 1)
        await send(by, letter())
        assert (len(post.letters), post.connections) == (4, 2)


async def test_no_server_is_held_for_longer_than_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailers, "PER_CONNECTION", 2)
    post = Post()
    with smtp_server(post) as address:
        await send(mailer(f"smtp://{address}"), *[letter()] * 5)
    assert (len(post.letters), post.connections) == (5, 3)


# --- addresses and headers


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.org\r\nBcc: eve@example.org",
        "ada@example.org\nRCPT TO:<eve@example.org>",
        "ada@example.org,eve@example.org",
        "<ada@example.org>",
        "ada@example.org>",
        "ada@example.org SIZE=1",
        "ada\x00@example.org",
        "ada",
        "",
    ],
)
async def test_what_is_no_address_is_never_said_to_a_server(address: str) -> None:
    """ASVS 1.3.11; attacks 69, 99: zero mails."""
    post = Post()
    with smtp_server(post) as server:
        assert isinstance(await failure(mailer(f"smtp://{server}"), letter(to=address)), MailRefused)
    assert (post.letters, post.seen) == ([], [])


@pytest.mark.parametrize("subject", ["Hello\r\nBcc: eve@example.org", "Hello\nX: y", "Hello\rX: y"])
async def test_a_header_cannot_be_injected(subject: str) -> None:
    """ASVS 1.3.11; attack 99."""
    post = Post()
    with smtp_server(post) as server:
        assert isinstance(await failure(mailer(f"smtp://{server}"), letter(subject=subject)), MailRefused)
    assert (post.letters, post.seen) == ([], [])


async def test_a_domain_in_any_script_goes_out_in_ascii() -> None:
    post = Post()
    with smtp_server(post, utf8=False) as server:
        await send(mailer(f"smtp://{server}"), letter(to="ada@bücher.example"))
    assert post.envelopes[0].rcpt_tos == ["ada@xn--bcher-kva.example"]
    assert post.letters[0]["To"] == "ada@xn--bcher-kva.example"


async def test_a_mailbox_in_any_script_needs_a_server_that_takes_it() -> None:
    """RFC 6531."""
    post = Post()
    with smtp_server(post) as server:
        await send(mailer(f"smtp://{server}"), letter(to="zoë@example.org"))
    assert post.envelopes[0].rcpt_tos == ["zoë@example.org"]
    assert post.letters[0]["To"] == "zoë@example.org"
    with smtp_server(post, utf8=False) as server:
        refused = await failure(mailer(f"smtp://{server}"), letter(to="zoë@example.org"))
    assert isinstance(refused, MailRefused)
    assert "only addresses in ASCII" in refused.reason
    assert len(post.letters) == 1


# --- TLS


async def test_smtps_is_verified_from_the_first_byte_on(trusted: Authority) -> None:
    """ASVS 12.3.1."""
    post = Post()
    with smtp_server(post, tls=trusted.context(HERE), auth=True) as address:
        await send(mailer(f"smtps://{LOGIN}{address}"))
    assert (len(post.letters), post.logins) == (1, [USER])


async def test_smtp_is_upgraded_before_anything_is_said(trusted: Authority) -> None:
    """ASVS 12.3.1; RFC 3207."""
    post = Post()
    with smtp_server(post, host=ELSEWHERE, starttls=trusted.context(ELSEWHERE), auth=True) as address:
        await send(mailer(f"smtp://{LOGIN}{address}"))
    assert (len(post.letters), post.logins) == (1, [USER])


async def test_where_starttls_is_missing_or_was_taken_out_nothing_is_sent() -> None:
    """ASVS 12.3.1: it fails closed, and no password was said."""
    post = Post()
    with smtp_server(post, host=ELSEWHERE, auth=True) as address:
        error = await failure(mailer(f"smtp://{LOGIN}{address}"))
    assert isinstance(error, MailUnreachable)
    assert "does not offer STARTTLS" in error.reason
    assert (post.letters, post.logins, post.seen) == ([], [], ["EHLO"])


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
@pytest.mark.parametrize("wrong", ["name", "authority"])
async def test_a_certificate_that_proves_nothing_is_told_nothing(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, wrong: str
) -> None:
    """ASVS 12.3.1, 12.3.2."""
    trusted = authority if wrong == "name" else make_authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.file))
    context = authority.context("mail.example.com" if wrong == "name" else ELSEWHERE)
    tls: dict[str, ssl.SSLContext] = {"tls" if scheme == "smtps" else "starttls": context}
    post = Post()
    with smtp_server(post, host=ELSEWHERE, auth=True, **tls) as address:  # type: ignore[arg-type]
        error = await failure(mailer(f"{scheme}://{LOGIN}{address}"))
    assert isinstance(error, MailUnreachable)
    assert "the certificate of 127.0.0.2" in error.reason
    assert (post.letters, post.logins) == ([], [])


async def test_a_server_that_speaks_the_other_kind_of_tls_is_named(trusted: Authority) -> None:
    post = Post()
    with smtp_server(post) as address:
        error = await failure(mailer(f"smtps://{address}"))
    assert isinstance(error, MailUnreachable)
    assert "does it want smtp:// with STARTTLS?" in error.reason


# --- refusals


async def test_a_wrong_password_is_the_servers_word_and_not_the_messages_fault() -> None:
    """So it is tried again until the setting is right. What is told has no password in it (attack 96)."""
    post = Post()
    with smtp_server(post, auth=True) as address:
        by = mailer(f"smtp://{USER}:canary@{address}")
        error = await failure(by)
    assert isinstance(error, MailUnreachable)
    assert "refuses the user or the password" in error.reason
    assert "canary" not in f"{error!r} {error} {error.reason} {by!r}"
    assert post.letters == []


@pytest.mark.parametrize(
    ("stage", "answer", "kind"),
    [
        ("RCPT", "550 5.1.1 nobody", MailRefused),
        ("DATA", "554 5.7.1 spam", MailRefused),
        ("RCPT", "450 4.2.1 greylisted", MailDelayed),
        ("DATA", "451 4.3.0 later", MailDelayed),
        ("MAIL", "451 4.3.0 later", MailDelayed),
        ("MAIL", "550 5.7.1 not from you", MailDelayed),
        ("MAIL", "421 closing", MailUnreachable),
        ("RCPT", "421 closing", MailUnreachable),
        ("DATA", "421 closing", MailUnreachable),
    ],
)
async def test_an_answer_says_whether_it_is_this_message_or_this_moment(
    stage: str, answer: str, kind: type[MailError]
) -> None:
    post = Post({stage: [answer]})
    with smtp_server(post) as address:
        error = await failure(mailer(f"smtp://{address}"))
    assert type(error) is kind
    assert answer[:3] in error.reason
    assert answer.rpartition(" ")[2] in str(error)
    assert post.letters == []


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
async def test_after_a_refusal_the_next_letter_goes_out(stage: str) -> None:
    post = Post({stage: ["451 4.3.0 later"]})
    with smtp_server(post) as address:
        by = mailer(f"smtp://{address}")
        with pytest.raises(MailDelayed):
            await by.send(letter(subject="first"))
        await send(by, letter(subject="second"))
    assert [got["Subject"] for got in post.letters] == ["second"]


# --- silence


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
async def test_a_server_that_stalls_is_left_and_the_next_try_gets_through(stage: str) -> None:
    """F12; ASVS 13.1.3. What stalled behind the end of the message may have arrived: then it arrives twice."""
    post = Post({stage: [30.0]})
    with smtp_server(post) as address:
        by, began = mailer(f"smtp://{address}"), time.monotonic()
        assert isinstance(await failure(by), MailUnreachable)
        assert time.monotonic() - began < 10 * BRIEF
        await send(by)
    assert len(post.letters) == (2 if stage == "DATA" else 1)


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
async def test_a_server_that_hangs_up_is_called_again(stage: str) -> None:
    """F12: behind the end of the message, before its 250, a duplicate is possible and a loss is not."""
    post = Post({stage: [GONE]})
    with smtp_server(post) as address:
        by = mailer(f"smtp://{address}")
        assert isinstance(await failure(by), MailUnreachable)
        await send(by)
    assert len(post.letters) == (2 if stage == "DATA" else 1)


@contextmanager
def saying(greeting: bytes) -> Iterator[str]:
    """A server that says one thing to each caller and then nothing."""
    listener = socket.create_server((HERE, 0))
    open_ones: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_ones.append(connection)
            connection.sendall(greeting)

    thread = Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"{HERE}:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for each in open_ones:
            each.close()


@pytest.mark.parametrize(
    ("scheme", "greeting", "reason"),
    [
        ("smtp", b"", "does not answer"),
        ("smtps", b"", "does not answer"),
        ("smtp", b"220 hello\r\n", "fell silent"),
        ("smtp", b"HTTP/1.1 400 Bad Request\r\n\r\n", "turns us away"),
        ("smtp", b"554 no\r\n", "turns us away (554)"),
        ("smtp", b"220 " + b"x" * 100_000, ""),
    ],
)
async def test_a_server_that_is_none_is_left_in_time(scheme: str, greeting: bytes, reason: str) -> None:
    """F12: at the connection, the handshake and the greeting."""
    with saying(greeting) as address:
        began = time.monotonic()
        error = await failure(mailer(f"{scheme}://{address}"))
        assert time.monotonic() - began < 10 * BRIEF
    assert isinstance(error, MailUnreachable)
    assert reason in error.reason


async def test_a_server_that_is_not_there_is_told() -> None:
    error = await failure(mailer("smtp://127.0.0.1:1"))
    assert isinstance(error, MailUnreachable)
    assert "127.0.0.1:1 cannot be reached" in error.reason


async def test_a_server_that_drips_is_left_when_the_whole_takes_too_long() -> None:
    """Each answer in time, and the letter never done."""
    post = Post({"MAIL": [0.9 * BRIEF], "RCPT": [0.9 * BRIEF], "DATA": [0.9 * BRIEF]})
    with smtp_server(post) as address:
        settings = Settings.parse({"smtp_url": f"smtp://{address}"})
        by = SmtpMailer(settings, stage_seconds=BRIEF, whole_seconds=BRIEF)
        error = await failure(by)
    assert isinstance(error, MailUnreachable)
    assert "takes too long" in error.reason


async def test_whoever_is_interrupted_leaves_no_connection_half_used() -> None:
    post = Post({"DATA": [30.0]})
    with smtp_server(post) as address:
        by = SmtpMailer(Settings.parse({"url": "https://app.example.com", "smtp_url": f"smtp://{address}"}))
        task = asyncio.create_task(by.send(letter()))
        await asyncio.to_thread(post.until, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await send(by, letter(subject="next"))
    assert post.letters[-1]["Subject"] == "next"
