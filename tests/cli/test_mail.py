"""`watchword mail test`: one message through the configured server, and in words what came of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.programs import refusal, run, spoken
from tests.smtp import ELSEWHERE, HERE, USER, Post, make_authority, parts, smtp_server
from watchword.drivers import mailer


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = {"stage_seconds": 0.5, "whole_seconds": 2.0}
    monkeypatch.setattr(mailer.SmtpMailer.__init__, "__kwdefaults__", defaults)


def test_a_message_arrives_and_nothing_but_a_server_is_needed() -> None:
    """Neither a database nor a secret, so that it can be tried first."""
    post = Post()
    with smtp_server(post) as address:
        said = spoken(
            run(
                "mail", "test", "Ada@example.org", smtp_url=f"smtp://{address}", url="https://app.example.com"
            )
        )
    assert said == f"{address} took a message for ada@example.org from no-reply@app.example.com\n"
    [letter] = post.letters
    assert (letter["To"], letter["Subject"]) == ("ada@example.org", "Test message from app.example.com")
    assert [kind for kind, _ in parts(letter)] == ["text/plain", "text/html"]
    assert list(Path().iterdir()) == []


def test_without_a_server_it_says_which_setting_is_missing() -> None:
    assert "WATCHWORD_SMTP_URL is not set" in refusal(run("mail", "test", "ada@example.org"))


@pytest.mark.parametrize(
    "address", ["ada", "ada@", "ada@example.org\r\nBcc: eve@example.org", "a@b@example.org"]
)
def test_what_is_no_address_is_refused_before_any_server_hears_of_it(address: str) -> None:
    """ASVS 1.3.11."""
    post = Post()
    with smtp_server(post) as server:
        assert refusal(run("mail", "test", address, smtp_url=f"smtp://{server}")).startswith("address: ")
    assert post.seen == []


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"RCPT": ["550 5.1.1 no such person"]}, ["refuses the recipient (550)", "no such person"]),
        ({"DATA": ["554 5.7.1 looks like spam"]}, ["refuses the message (554)", "looks like spam"]),
        (
            {"MAIL": ["553 5.7.1 not yours"]},
            ["refuses the sender no-reply@localhost", "mail_from", "not yours"],
        ),
        ({"RCPT": ["450 4.2.0 greylisted"]}, ["does not take the recipient for now (450)", "greylisted"]),
        ({"DATA": [30.0]}, ["hung up or fell silent"]),
    ],
)
def test_what_the_server_said_is_told(answers: dict[str, list[str | float]], words: list[str]) -> None:
    with smtp_server(Post(answers)) as address:
        said = refusal(run("mail", "test", "ada@example.org", smtp_url=f"smtp://{address}"))
    assert [word for word in words if word not in said] == []


def test_a_wrong_password_is_told_and_not_shown() -> None:
    """Attack 96."""
    with smtp_server(Post(), auth=True) as address:
        said = refusal(run("mail", "test", "ada@example.org", smtp_url=f"smtp://{USER}:canary@{address}"))
    assert "refuses the user or the password of smtp_url (535)" in said
    assert "canary" not in said


def test_missing_or_untrusted_tls_is_told(tmp_path: Path) -> None:
    """ASVS 12.3.1."""
    post = Post()
    with smtp_server(post, host=ELSEWHERE) as address:
        said = refusal(run("mail", "test", "ada@example.org", smtp_url=f"smtp://{address}"))
    assert "does not offer STARTTLS, and nothing is sent without" in said
    with smtp_server(post, tls=make_authority(tmp_path).context(HERE)) as address:
        said = refusal(run("mail", "test", "ada@example.org", smtp_url=f"smtps://{address}"))
    assert "is not one to trust: " in said
    assert post.letters == []


def test_a_server_that_is_not_there_is_told() -> None:
    said = refusal(run("mail", "test", "ada@example.org", smtp_url="smtp://127.0.0.1:1"))
    assert said.startswith("127.0.0.1:1 cannot be reached: ")
