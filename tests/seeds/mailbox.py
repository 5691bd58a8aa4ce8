"""Where the mail of a house arrives: a real SMTP server. It keeps every message as a file too, numbered from 1, so that
clients which are other programs can read their codes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.smtp import Post, smtp_server

T = TypeVar("T")


@dataclass
class Mailbox(Post):
    """`folder` holds the messages as they came: `1.eml`, `2.eml` and so on."""

    folder: Path = field(kw_only=True)
    _turn: Any = field(default_factory=Lock, repr=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        said = await super().handle_DATA(server, session, envelope)
        for number, kept in enumerate(self.envelopes, 1):
            if not (file := self.folder / f"{number}.eml").exists():
                assert isinstance(kept.content, bytes)
                half = file.with_suffix(".half")  # who waits for the file must not find half of it
                half.write_bytes(kept.content)
                half.rename(file)
        return said

    def after(self, ask: Callable[[], T]) -> tuple[T, str]:
        """What was answered, and the code that came by mail for it.

        One asks at a time: nothing in a letter tells two sign-ins of a user apart."""
        with self._turn:
            before = len(self.letters)
            answer = ask()
            while True:
                # Notices of what was done before may still be on their way.
                self.until(before + 1)
                if codes := codes_in(self.letters[before]):
                    [code] = codes
                    return answer, code
                before += 1


@contextmanager
def receiving(folder: Path) -> Iterator[tuple[Mailbox, str]]:
    """A mailbox, and the `smtp_url` that leads there."""
    folder.mkdir()
    mailbox = Mailbox(folder=folder)
    with smtp_server(mailbox) as address:
        yield mailbox, f"smtp://{address}"


def code_in(letter: EmailMessage) -> str:
    """The only number of six digits in what a reader sees of it."""
    [code] = codes_in(letter)
    return code


def codes_in(letter: EmailMessage) -> list[str]:
    """All of them."""
    part = letter.get_body(("plain",))
    assert part is not None
    return [str(code) for code in re.findall(r"(?<!\d)[0-9]{6}(?!\d)", part.get_content())]
