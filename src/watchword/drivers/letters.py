"""From templates to letters: Jinja2 over folders, the app's own first.

A kind of mail is two files, `<kind>.txt` and `<kind>.html`; the first line of the text is the subject. They see the
payload, and `site`, `url` and `prefix`, which are ours. Everything in the payload may be a stranger's: it is escaped in
HTML, and defanged in both, so that no reader's program makes a link of it.
Sources: DESIGN §4.8; ASVS 5.0 1.2.1, 1.3.11; SECURITY-TARGET attacks 78 (links are made from settings alone), 99.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from watchword.core.mail import Letter, Mail
from watchword.errors import MailDelayed
from watchword.settings import Settings

if TYPE_CHECKING:
    from jinja2 import Environment

OWN = Path(__file__).parent.parent / "mail"
MAX_TEXT = 200
"""Characters of one text of the payload: no label is longer, and no mail is written by a stranger."""
_KIND = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)

log = logging.getLogger("watchword.mail")


class TemplateLetters:
    """Implements `ports.Letters` over `folders`, searched in order, and then our own."""

    def __init__(self, settings: Settings, folders: Sequence[Path] = ()) -> None:
        self._folders = (*folders, OWN)
        site = urlsplit(settings.url).netloc
        self._ours = {"url": settings.url, "site": site, "prefix": settings.prefix}

    def write(self, mail: Mail, payload: Mapping[str, Any]) -> Letter:
        values = _inert(payload) | self._ours
        try:
            if not _KIND.fullmatch(mail.kind):
                raise ValueError(mail.kind)
            text, html = (
                self._environment.get_template(f"{mail.kind}.{form}").render(values)
                for form in ("txt", "html")
            )
        except Exception as error:  # a template is somebody's own code
            log.exception("the template of mail %r failed", mail.kind)
            raise MailDelayed(f"the template of {mail.kind} is missing or at fault", repr(error)) from error
        subject, _, body = text.partition("\n")
        return Letter(
            id=mail.id,
            to=mail.to,
            subject=" ".join(subject.split()),
            text=re.sub(r"\n{3,}", "\n\n", body.strip()) + "\n",
            html=html.strip() + "\n",
        )

    def load(self) -> None:
        """Import Jinja2 and compile every template. One at fault is told when it is needed, as it may be mended."""
        for name in self._environment.list_templates(extensions=("txt", "html")):
            try:
                self._environment.get_template(name)
            except Exception as error:  # noqa: BLE001 - a template is somebody's own code
                log.warning("the template %s is at fault: %r", name, error)

    @cached_property
    def _environment(self) -> Environment:
        # Here, as a process that sends no mail needs none of it.
        from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

        return Environment(
            loader=FileSystemLoader(self._folders),
            autoescape=select_autoescape(disabled_extensions=("txt",), default=True),
            undefined=StrictUndefined,
        )


def _inert(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _inert(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_inert(item) for item in value]
    return inert(value) if isinstance(value, str) else value


def inert(text: str) -> str:
    """A text on one line that no mail program takes for an address of a page or a mailbox; an IP address stays as it
    is."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_TEXT]
    try:
        return str(ip_address(line))
    except ValueError:
        return (
            re.sub(r"[.\u3002\uff0e\uff61](?=\w)", "[.]", line).replace("@", "[at]").replace("://", "[:]//")
        )
