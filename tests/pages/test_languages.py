"""Which language a visitor is spoken to in, and that every language says everything."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.http.asgi import call
from tests.http.devices import house
from watchword.errors import SettingsError, registry
from watchword.pages.languages import OURS, Messages, choose, languages

KNOWN = {tag: Messages(tag, {}) for tag in ("en", "de", "pt-BR")}


@pytest.mark.parametrize(
    ("accepted", "tag"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE-at", "de"),
        ("fr, de;q=0.5", "de"),
        ("de;q=0.4, en;q=0.6", "en"),
        ("de;q=0, en;q=0.1", "en"),
        ("pt-br", "pt-BR"),
        ("pt", "en"),  # which of them is meant, nobody knows
        ("*", "en"),
        ("de;q=much", "en"),
        ("de;q=2", "en"),
        ("de;q=nan", "en"),
        (";;,,=", "en"),
        ("x, " * 50 + "de", "en"),  # no browser sends so many
    ],
)
def test_the_language_is_the_one_that_a_visitor_likes_best(accepted: str, tag: str) -> None:
    """RFC 9110 §12.5.4, RFC 4647 §3.4."""
    assert choose(accepted, KNOWN).tag == tag


@pytest.mark.parametrize("path", sorted(OURS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_language_says_the_same_things_with_the_same_words_to_fill_in(path: Path) -> None:
    """Read as files, as what is missing would be said in English."""
    english, other = (tomllib.loads(each.read_text(encoding="utf-8")) for each in (OURS / "en.toml", path))
    for section, messages in english.items():
        assert messages.keys() == other[section].keys(), section
        for key, text in messages.items():
            words = set(re.findall(r"\{\w+\}", text))
            assert words == set(re.findall(r"\{\w+\}", other[section][key])), f"{section}.{key}"
    assert english.keys() == other.keys()


def test_every_error_code_has_a_message() -> None:
    """DESIGN §4.7: one registry of codes feeds the pages too."""
    assert {kind.code for kind in registry()} <= languages(None)["en"].sections["errors"].keys()


def test_every_message_that_a_script_or_template_names_is_there() -> None:
    folder = OURS.parent
    english = languages(None)["en"].sections
    for path in [*folder.glob("assets/*.js"), *folder.glob("templates/*.html")]:
        for section, key in re.findall(r'"(\w+)\.([a-z_]+)"', path.read_text(encoding="utf-8")):
            if section in english and key not in ("html", "js"):
                assert key in english[section], f"{path.name}: {section}.{key}"
            elif section == "here":
                page = "account" if path.stem in ("devices", "activity") else path.stem
                assert key in english[page], f"{path.name}: {page}.{key}"


async def test_a_page_comes_in_the_language_asked_for_and_says_so() -> None:
    """WCAG 3.1.1; RFC 9110 §12.5.5: a cache keeps the languages apart."""
    home = await house()
    for accepted, tag, title in (("de-CH,de;q=0.9", "de", "Anmelden"), ("fr", "en", "Sign in")):
        answer = await call(home.app, "GET", "/auth/", headers=[("accept-language", accepted)])
        text = answer.body.decode()
        assert f'<html lang="{tag}">' in text
        assert f"<title>{title} · Watchword</title>" in text
        assert (answer.get("content-language"), answer.get("vary")) == (tag, "Accept-Language")


def test_a_message_of_an_apps_own_goes_before_ours_and_the_rest_stays(tmp_path: Path) -> None:
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "en.toml").write_text('[common]\nbrand = "Acme"\n')
    (tmp_path / "messages" / "fr.toml").write_text('[sign_in]\ntitle = "Connexion"\n')
    known = languages(tmp_path)
    assert known["en"].say("common.brand") == "Acme"
    assert known["en"].say("sign_in.title") == "Sign in"
    assert known["fr"].say("sign_in.title") == "Connexion"
    assert known["fr"].say("common.brand") == "Acme"
    assert known["de"].say("common.brand") == "Watchword"


@pytest.mark.parametrize("text", ["title = ", 'title = "x"', "[common]\nbrand = 3"])
def test_a_file_that_is_none_of_messages_is_told_at_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "en.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"en\.toml"):
        languages(tmp_path)
