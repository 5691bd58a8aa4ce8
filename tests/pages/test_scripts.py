"""What the scripts of our pages and the browser client never do, read off the sources; what pages offer to people."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import watchword
from tests.http.asgi import call
from tests.http.devices import house

PACKAGE = Path(watchword.__file__).parent
SCRIPTS = sorted([*PACKAGE.glob("browser/*.js"), *PACKAGE.glob("pages/assets/*.js")])
TEMPLATES = sorted(PACKAGE.glob("pages/templates/*.html"))
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser"
)
CODE = re.compile(r"\beval\(|new Function|set(?:Timeout|Interval)\(\s*[\"'`]|javascript:")
BY_NAME = re.compile(r"[\w)]\[(?![\"'\d])[^\]]+\]\s*=(?!=)")
GLOBAL = re.compile(r"\b(?:window|globalThis|self)\.\w+\s*=(?!=)")


def shown(path: Path) -> str:
    return path.name


def code_of(path: Path) -> str:
    """The text without its comments."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.S)
    return re.sub(r"(?m)(?:^|\s)//.*$", "", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=shown)
def test_a_script_writes_text_as_text_and_evaluates_nothing(path: Path) -> None:
    """ASVS 1.3.2, 3.2.2; attack 99."""
    code = code_of(path)
    assert not MARKUP.search(code)
    assert not CODE.search(code)


@pytest.mark.parametrize("path", SCRIPTS, ids=shown)
def test_a_script_is_a_module_that_leaves_no_globals(path: Path) -> None:
    """ASVS 3.2.3, 3.7.1: what an element's name could replace is asked for nowhere."""
    code = code_of(path)
    assert not GLOBAL.search(code)
    assert not re.search(r"document\.(?:forms|all)\b|window\[", code)


@pytest.mark.parametrize("path", SCRIPTS, ids=shown)
def test_nothing_from_outside_is_kept_in_an_object_by_its_name(path: Path) -> None:
    """ASVS 15.3.6: no name that comes along could be `__proto__`."""
    assert not BY_NAME.search(code_of(path))


@pytest.mark.parametrize(
    "code", ["box.innerHTML = x", "eval(x)", "kept[name] = value", "window.auth = auth", "f()[name] = 1"]
)
def test_what_is_looked_for_is_recognised(code: str) -> None:
    assert any(pattern.search(code) for pattern in (MARKUP, CODE, BY_NAME, GLOBAL))


def test_one_thing_alone_is_stored_in_a_browser_and_it_is_no_secret() -> None:
    """ASVS 14.3.3: the path of a sign-out that the server has still to be told of; tokens are in memory."""
    stores = {path.name: re.findall(r"(?:local|session)Storage|indexedDB", code_of(path)) for path in SCRIPTS}
    assert {name: len(found) for name, found in stores.items() if found} == {"client.js": 1}


@pytest.mark.parametrize("path", TEMPLATES, ids=shown)
def test_passwords_are_hidden_and_may_be_pasted_and_filled_in(path: Path) -> None:
    """ASVS 6.2.6, 6.2.7."""
    text = path.read_text(encoding="utf-8")
    for field in re.findall(r'<input[^>]*name="(?:[^"]*password|{{ name }})"[^>]*>', text):
        assert 'type="password"' in field, field
        assert re.search(r'autocomplete="(?:current|new)-password"|autocomplete="{{', field), field
    assert "onpaste" not in text
    assert 'autocomplete="off"' not in text


async def test_whoever_is_signed_in_sees_how_to_sign_out() -> None:
    """ASVS 7.4.4."""
    home = await house()
    for path in ("/auth/account", "/auth/"):
        text = (await call(home.app, "GET", path)).body.decode()
        assert re.search(r"Sign out", text), path
