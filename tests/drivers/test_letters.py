"""From templates to letters: which template counts, and what becomes of a stranger's text."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from watchword.core.mail import Letter, Mail
from watchword.drivers.letters import MAX_TEXT, OWN, TemplateLetters, inert
from watchword.errors import MailDelayed
from watchword.settings import Settings

HTTPS = Settings.parse({"url": "https://app.example.com"})
HOSTILE = '"><script>alert(1)</script> <a href="https://evil.com/x">Firefox</a> www.evil.com me@evil.com'


def written(folder: Path, text: str, html: str, payload: dict[str, object] | None = None) -> Letter:
    """What a template of an app's own makes of a payload."""
    (folder / "note.txt").write_text(text, encoding="utf-8")
    (folder / "note.html").write_text(html, encoding="utf-8")
    mail = Mail("an id", "ada@example.org", "note", b"", 0, 0)
    return TemplateLetters(HTTPS, [folder]).write(mail, payload or {})


def kinds() -> set[str]:
    """The kinds of mail that we ship, wherever their templates are."""
    root = OWN.parent
    files = [*OWN.iterdir(), *root.glob("features/*/mail/*")]
    return {path.stem for path in files} - {"layout"}


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_every_kind_has_both_parts(kind: str) -> None:
    """DESIGN §4.8: text and HTML."""
    root = OWN.parent
    found = [*OWN.glob(f"{kind}.*"), *root.glob(f"features/*/mail/{kind}.*")]
    assert sorted(path.suffix for path in found) == [".html", ".txt"]


SAID: dict[str, object] = {
    "code": "012345",
    "token": "wwc_x",
    "minutes": 10,
    "account": "a…@example.com",
    "device": "Firefox on Linux",
    "ip": "192.0.2.7",
    "at": "2027-01-15 08:00 UTC",
    "most": 50,
    "new": True,
}
"""A value of every name that the guide gives to any kind."""


def listed() -> dict[str, set[str]]:
    """The kinds of mail in the guide's table, and the names of their values."""
    guide = (Path(__file__).parents[2] / "docs/guides/mail.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \|[^|]*\|([^|]*)\|$", guide, re.M)
    return {kind: set(re.findall(r"`([a-z]+)`", values)) for kind, values in rows}


def test_the_guide_lists_every_kind() -> None:
    assert listed().keys() == kinds()


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_every_kind_needs_what_the_guide_says_and_no_more(kind: str) -> None:
    """DESIGN §4.8: an app that writes its own template goes by that table."""
    folders = sorted(OWN.parent.glob("features/*/mail"))
    payload = {name: SAID[name] for name in listed()[kind]}
    letter = TemplateLetters(HTTPS, folders).write(Mail("an id", "a@b.org", kind, b"", 0, 0), payload)
    assert letter.subject
    for name, value in payload.items():
        if name != "new":
            shown = inert(value) if isinstance(value, str) else str(value)
            assert shown in letter.text, name
            assert shown in letter.html, name


def test_a_template_at_fault_keeps_no_other_from_being_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, and the message that needs it waits; all others are ready."""
    (tmp_path / "broken.txt").write_text("{% if %}")
    letters = TemplateLetters(HTTPS, [tmp_path])
    letters.load()
    assert "broken.txt" in caplog.text
    with pytest.raises(MailDelayed):
        letters.write(Mail("an id", "a@b.org", "broken", b"", 0, 0), {})
    assert letters.write(Mail("an id", "a@b.org", "test", b"", 0, 0), {}).subject


def test_the_first_line_of_the_text_is_the_subject(tmp_path: Path) -> None:
    letter = written(tmp_path, "  A   subject \n\n\n\nOne.\n\n\n\nTwo.\n\n", "<p>One.</p>")
    assert (letter.subject, letter.text, letter.html) == ("A subject", "One.\n\nTwo.\n", "<p>One.</p>\n")


def test_templates_know_the_site_from_the_settings_alone(tmp_path: Path) -> None:
    """Attack 78; GHSA-3529-5m8x-rpv3: no payload can move a link elsewhere."""
    payload: dict[str, object] = {"url": "https://evil.com", "site": "evil.com"}
    letter = written(tmp_path, "{{ site }}\n{{ url }}/x", "<a href='{{ url }}/x'>{{ site }}</a>", payload)
    assert letter.subject == "app.example.com"
    assert letter.text == "https://app.example.com/x\n"
    assert letter.html == "<a href='https://app.example.com/x'>app.example.com</a>\n"


def test_an_apps_own_template_goes_before_ours_and_may_extend_ours(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text(
        '{% extends "layout.txt" %}{% block subject %}Hallo{% endblock %}{% block text %}Von uns.{% endblock %}'
    )
    letter = TemplateLetters(HTTPS, [tmp_path]).write(Mail("an id", "a@b.org", "test", b"", 0, 0), {})
    assert letter.subject == "Hallo"
    assert letter.text == "Von uns.\n\n-- \napp.example.com\n"
    assert "This is a test message." in letter.html, "what is not overridden stays ours"


def test_a_strangers_text_is_neither_markup_nor_a_link(tmp_path: Path) -> None:
    """ASVS 1.2.1, 1.1.2; attack 99: the name of a device, from a header that anybody can send."""
    payload: dict[str, object] = {"device": HOSTILE, "more": {"deep": [HOSTILE]}}
    template = "Sign-in\n{{ device }} {{ more.deep[0] }}"
    letter = written(tmp_path, template, f"<p>{template}</p>", payload)
    assert letter.html.count("<") == 2
    assert "&lt;script&gt;" in letter.html
    for part in (letter.text, letter.html):
        assert not re.search(r"evil\.com|https?://|\w@\w", part)
        assert "evil[.]com" in part


def test_a_strangers_text_is_one_short_line(tmp_path: Path) -> None:
    """ASVS 1.3.11; attack 99: it writes no header, no paragraph and no mail of its own."""
    payload: dict[str, object] = {
        "device": "Firefox\r\nBcc: eve@example.org\r\n\r\nPay now\u202e!" + "x" * 9999
    }
    letter = written(tmp_path, "New sign-in by {{ device }}\nHello.", "<p></p>", payload)
    assert letter.subject.startswith("New sign-in by Firefox Bcc: eve[at]example[.]org Pay now !")
    assert letter.text == "Hello.\n"
    assert len(letter.subject) < MAX_TEXT + 50


def test_codes_tokens_and_addresses_of_machines_stay_as_they_are(tmp_path: Path) -> None:
    values: dict[str, object] = {"code": "012345", "token": "aZ-_09" * 8, "ip": "2001:db8::7", "minutes": 10}
    letter = written(tmp_path, "s\n{{ code }} {{ token }} {{ ip }} {{ minutes }}", "", values)
    assert letter.text == f"012345 {'aZ-_09' * 8} 2001:db8::7 10\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Firefox on Linux", "Firefox on Linux"),
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/evil", "192[.]0[.]2[.]7/evil"),
        ("2001:DB8::7", "2001:db8::7"),
        ("Mozilla/5.0", "Mozilla/5[.]0"),
        ("The end. Really.", "The end. Really."),
        ("evil\u3002com evil\uff0ecom evil\uff61com", "evil[.]com evil[.]com evil[.]com"),
        ("javascript://x", "javascript[:]//x"),
        ("a\x00b\u200bc\u2028d", "a b c d"),
        ("", ""),
    ],
)
def test_what_looks_like_an_address_is_taken_apart(text: str, shown: str) -> None:
    """Attack 99."""
    assert inert(text) == shown


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("{{ missing }}", "<p></p>"),
        ("{% broken", "<p></p>"),
        ("s", "{{ missing.deep }}"),
        ("{{ 1 / 0 }}", ""),
    ],
)
def test_a_template_at_fault_delays_its_mail_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, html: str
) -> None:
    """Nothing half-made is sent."""
    with caplog.at_level(logging.ERROR), pytest.raises(MailDelayed, match="the template of note"):
        written(tmp_path, text, html)
    assert "note" in caplog.text


@pytest.mark.parametrize("kind", ["unknown", "layout.txt", "../mail/test", "/etc/passwd", "test.txt\x00", ""])
def test_only_kinds_are_templates(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(MailDelayed):
        TemplateLetters(HTTPS).write(Mail("an id", "ada@example.org", kind, b"", 0, 0), {})
