"""Bad input: every field of every route, and every way of not being JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.asgi import Answer, Header, call
from tests.http.devices import ADA, MODES, PASSWORD, Device, House, house
from watchword.routing.bodies import MAX_BODY

JSON: Header = ("content-type", "application/json")
ORIGIN: Header = ("origin", "http://testserver")

LOGIN = {"email": ADA, "password": PASSWORD}
# Path, the fields that its body may have with a right value each, and whether it may stay empty.
ROUTES: dict[str, tuple[dict[str, str], bool]] = {
    "/auth/login": (LOGIN, False),
    "/auth/login/credentials": (LOGIN, False),
    "/auth/reauthenticate": ({"password": PASSWORD}, False),
    "/auth/refresh": ({"refresh_token": "wwr_x"}, True),
    "/auth/logout": ({"refresh_token": "wwr_x"}, True),
    "/auth/logout/all": ({"refresh_token": "wwr_x"}, True),
}
FIELDS = [(path, name) for path, (fields, _) in ROUTES.items() for name in fields] + [
    ("/auth/login", "username"),
    ("/auth/login/credentials", "username"),
]


async def ada(**texts: str) -> tuple[House, Device]:
    home = await house(**texts)
    return home, await home.signed_in()


def right(path: str, name: str) -> dict[str, Any]:
    """A valid body of the route in which `name` has a value."""
    body: dict[str, Any] = dict(ROUTES[path][0])
    if name == "username":
        body["username"] = body.pop("email").partition("@")[0]
    return body


def errors(answer: Answer) -> list[tuple[str, str]]:
    assert (answer.status, answer.code) == (422, "invalid_request"), answer.body
    found = answer.problem["errors"]
    assert all(set(error) == {"field", "code", "message"} and error["message"] for error in found)
    return [(error["field"], error["code"]) for error in found]


@pytest.mark.parametrize(("path", "name"), FIELDS)
async def test_a_field_of_a_wrong_type_is_named(path: str, name: str) -> None:
    """ASVS 2.2.1, 15.3.5: nothing is converted; not even what looks like a string."""
    _, device = await ada(mode="bearer")
    wrongs: list[object] = [1, 1.5, True, [], {}, ["x"], {"$ne": ""}, [[]], 10**30]
    for wrong in wrongs:
        answer = await device.post(path, right(path, name) | {name: wrong}, keep=False)
        assert errors(answer) == [(name, "wrong_type")], wrong


@pytest.mark.parametrize("path", ROUTES)
async def test_an_unknown_field_is_named(path: str) -> None:
    """Attack 74, ASVS 15.3.3, 2.2.2: mass assignment, prototypes, other spellings; nothing is quietly dropped."""
    home, device = await ada(mode="bearer")
    for extra in (
        "is_admin",
        "id",
        "roles",
        "email_verified",
        "__proto__",
        "constructor",
        "Password",
        "password ",
        "",
    ):
        answer = await device.post(path, ROUTES[path][0] | {extra: "x"}, keep=False)
        assert errors(answer) == [(extra or "body", "unknown_field")], extra
    assert (await home.auth.users.get(ADA)).roles == ()


async def test_a_missing_field_is_named() -> None:
    """Each of those that must be there, and the choice between two names. ASVS 2.2.3."""
    _, device = await ada(mode="bearer")
    for path in ("/auth/login", "/auth/login/credentials"):
        assert errors(await device.post(path, {"email": ADA})) == [("password", "missing")]
        assert errors(await device.post(path, {"password": PASSWORD})) == [("email", "missing")]
        assert errors(await device.post(path, {})) == [("password", "missing")]
        two = {"email": ADA, "username": "ada", "password": PASSWORD}
        assert errors(await device.post(path, two)) == [("email", "missing")]
        nulls = {"email": None, "username": None, "password": PASSWORD}
        assert errors(await device.post(path, nulls)) == [("email", "missing")]
        assert errors(await device.post(path, LOGIN | {"password": None})) == [("password", "wrong_type")]
    assert errors(await device.post("/auth/reauthenticate", {})) == [("password", "missing")]


@pytest.mark.parametrize(("path", "name"), [field for field in FIELDS if field[1] != "refresh_token"])
async def test_empty_and_long_fields_are_named(path: str, name: str) -> None:
    """ASVS 2.2.1, attack 71: before any hashing or look-up."""
    home, device = await ada(mode="bearer")
    longest = 1024 if name == "password" else 320
    assert errors(await device.post(path, right(path, name) | {name: ""})) == [(name, "too_short")]
    for size in (longest + 1, 16_000):
        answer = await device.post(path, right(path, name) | {name: "x" * size}, keep=False)
        assert errors(answer) == [(name, "too_long")]
    if name == "password":
        answer = await device.post(path, right(path, name) | {name: "é" * 1000}, keep=False)
        assert errors(answer) == [(name, "too_long")], "bytes, not characters"
    told = len(home.events)
    answer = await device.post(path, right(path, name) | {name: "x" * longest}, keep=False)
    assert (answer.status, answer.code) == (401, "invalid_credentials")
    assert len(home.events) == told + 1


@pytest.mark.parametrize(("path", "name"), FIELDS)
async def test_lone_surrogates_are_refused_wherever_they_stand(path: str, name: str) -> None:
    """Attacks 16, 71: in a value and in a name, alone and in the midst; never a 500."""
    home, device = await ada(mode="bearer")
    for evil in ("\\ud800", "a\\udfffb", "\\udc00\\ud800"):
        body = json.dumps(right(path, name)).replace(f'"{name}":', f'"{evil}":').encode()
        assert (await device.post(path, headers=[JSON], body=body)).code == "invalid_request"
        body = json.dumps(right(path, name) | {name: "EVIL"}).replace("EVIL", evil).encode()
        answer = await home.device().post(path, headers=[JSON], body=body)
        if name == "refresh_token":
            assert answer.status == (401 if path.endswith("refresh") else 200), "a token like any unknown one"
        else:
            assert errors(answer) == [(name, "invalid_text")]


@pytest.mark.parametrize(("path", "name"), [field for field in FIELDS if field[1] != "refresh_token"])
@pytest.mark.parametrize(
    "evil", ["\0", "\r\n", "x\0y", "\x1b[31m", "\u202e", "{{7*7}}", "%s%n", "' OR 1=1--", "*", "%"]
)
async def test_odd_characters_are_data(path: str, name: str, evil: str) -> None:
    """ASVS 1.3.7, attack 94: NUL, line ends, templates, wildcards: unknown logins and wrong passwords like any."""
    _, device = await ada(mode="bearer")
    answer = await device.post(path, right(path, name) | {name: evil}, keep=False)
    assert (answer.status, answer.code) == (401, "invalid_credentials")


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout", "/auth/logout/all"])
async def test_a_refresh_token_of_any_text_is_an_unknown_one(path: str) -> None:
    """Attack 37: no shape of it is told apart, and logging out with it succeeds."""
    home, _ = await ada(mode="bearer")
    for text in ("", "x", "wwr_", "wwr_" + "A" * 80, "wwr_" + "é" * 80, "\0" * 84, "x" * 15_000):
        answer = await home.device().post(path, {"refresh_token": text})
        assert (answer.status, answer.json.get("code")) == (
            (401, "invalid_token") if path.endswith("refresh") else (200, None)
        )


BROKEN: list[bytes] = [
    b"{",
    b"}",
    b"x",
    b"{'a':1}",
    b'{"password":}',
    b'{"password":"x",}',
    b'{"password":"x"}}',
    b'{"password":"x"} {"password":"y"}',
    b'{"password":"x"}//',
    b'/**/{"password":"x"}',
    b'{"password":"\x01"}',
    b'{"password":"\\x41"}',
    b'{"password":"\\u12"}',
    b'{"password":NaN}',
    b'{"password":Infinity}',
    b'{"password":-Infinity}',
    b'{"password":' + b"1" * 5000 + b"}",
    b'{"password":"x","password":"y"}',
    b'{"password":"x","\\u0070assword":"y"}',
    b'{"password":"x","x":{"a":1,"a":2}}',
    b'{"password":"x","x":[{"a":1,"a":1}]}',
    b'\xef\xbb\xbf{"password":"x"}',
    '{"password":"x"}'.encode("utf-16"),
    '{"password":"x"}'.encode("utf-16-le"),
    '{"password":"x"}'.encode("utf-32"),
    b'{"password":"\xff"}',
    b'{"password":"\xc3\x28"}',
    b'{"password":"\xed\xa0\x80"}',
    b'{"password":"\xc0\xaf"}',
    b'{"password":"\xf8\x88\x80\x80\x80"}',
    b"[" * 8000,
    b"[" * 8000 + b"]" * 8000,
    b'{"a":' * 2700 + b"1" + b"}" * 2700,
    b"\0",
    b" ",
    b"\n\n",
    b'{"password":"x"}\0',
]


@pytest.mark.parametrize("path", ROUTES)
async def test_what_is_no_json_in_utf_8_is_a_bad_request(path: str) -> None:
    """ASVS 1.5.2, 15.3.7; attack 9: broken, trailing, twice, NaN, BOM, other encodings, deep, huge numbers."""
    home, device = await ada(mode="bearer")
    told = len(home.events)
    for body in BROKEN:
        answer = await device.post(path, headers=[JSON], body=body)
        assert (answer.status, answer.code) == (400, "bad_request"), body[:40]
    assert len(home.events) == told


@pytest.mark.parametrize("path", ROUTES)
async def test_json_that_is_no_object_is_told(path: str) -> None:
    """A list, a text, a number: a 422 that names the body."""
    _, device = await ada(mode="bearer")
    for body in (b"[]", b'"x"', b"1", b"true", b"1.5e300", b'[{"password":"x"}]'):
        assert errors(await device.post(path, headers=[JSON], body=body)) == [("body", "wrong_type")], body
    ((field, code),) = errors(await device.post(path, headers=[JSON], body=b"null"))
    assert field == "body"
    assert code in ("missing", "wrong_type")


SIZED: dict[str, bytes | list[bytes]] = {
    "one piece": b" " * (MAX_BODY + 1),
    "pieces": [b" " * 1000] * 17,
    "tiny pieces": [b" "] * (MAX_BODY + 1),
    "valid but for its size": json.dumps(LOGIN).encode() + b" " * MAX_BODY,
}


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("how", SIZED)
async def test_a_body_over_16_kib_is_too_large_however_it_comes(path: str, how: str) -> None:
    """Attacks 9, 71: with a length and in chunks without; a MiB is never held in memory."""
    _, device = await ada(mode="bearer")
    answer = await device.post(path, headers=[JSON], body=SIZED[how])
    assert (answer.status, answer.code) == (413, "payload_too_large")


@pytest.mark.parametrize("path", ROUTES)
async def test_a_body_of_just_16_kib_is_read(path: str) -> None:
    """The limit itself is inside."""
    _, device = await ada(mode="bearer")
    body = json.dumps(ROUTES[path][0]).encode()
    padded = body + b" " * (MAX_BODY - len(body))
    assert (await device.post(path, headers=[JSON], body=padded, keep=False)).status in (200, 401)
    chunks = [padded[at : at + 100] for at in range(0, MAX_BODY, 100)]
    assert (await device.post(path, headers=[JSON], body=chunks, keep=False)).status in (200, 401)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("length", ["16385", "99999999999", "9" * 30, "0016385"])
async def test_a_large_announced_length_is_refused_before_anything_is_read(path: str, length: str) -> None:
    """Attack 80: nobody is made to wait for what will be thrown away."""
    home, _ = await ada(mode="bearer")
    sent: list[int] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body was asked for")

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            sent.append(message["status"])

    headers = [(b"content-type", b"application/json"), (b"content-length", length.encode())]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    await home.app(scope, receive, send)
    assert sent == [413]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("length", ["-1", "abc", "", "1e3", "0x10", "+5", "١٦"])
async def test_a_length_that_is_no_number_changes_nothing(path: str, length: str) -> None:
    """Servers refuse it before; if one does not, the bytes are counted all the same."""
    _, device = await ada(mode="bearer")
    value = length.encode().decode("latin-1")
    answer = await device.post(path, headers=[JSON, ("content-length", value)], body=[b" " * 20_000])
    assert answer.status == 413
    body = json.dumps(ROUTES[path][0]).encode()
    answer = await device.post(path, headers=[JSON, ("content-length", value)], body=body, keep=False)
    assert answer.status in (200, 401)


TYPES: list[Sequence[str]] = [
    (),
    ("",),
    ("text/plain",),
    ("text/json",),
    ("application/x-www-form-urlencoded",),
    ("multipart/form-data; boundary=x",),
    ("application/json;text/plain",),
    ("application/json, text/plain",),
    ("text/plain, application/json",),
    ("text/plain;application/json",),
    ("application/json; charset=latin-1",),
    ("application/json; charset=utf-16",),
    ("application/json; charset=utf-8; x=1",),
    ("application/json; boundary=x",),
    ("application/json/x",),
    ("application/jsonx",),
    ("xapplication/json",),
    ("application/json-patch+json",),
    ("application/vnd.api+json",),
    ("application/problem+json",),
    ("*/*",),
    ("application/*",),
    ("application/json\0",),
    ("application/json", "application/json"),
    ("application/json", "text/plain"),
    ("text/plain", "application/json"),
]


@pytest.mark.parametrize("path", ROUTES)
async def test_a_body_of_another_type_is_refused(path: str) -> None:
    """Attacks 46, 81: what a form can send, lists of types, other charsets, two headers. ASVS 3.5.2."""
    home, device = await ada(mode="bearer")
    told = len(home.events)
    for types in TYPES:
        body = json.dumps(ROUTES[path][0]).encode()
        answer = await device.post(path, headers=[("content-type", value) for value in types], body=body)
        assert (answer.status, answer.code) == (415, "unsupported_media_type"), types
    assert len(home.events) == told


@pytest.mark.parametrize(
    "value",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json ",
        "application/json;",
        "application/json ; charset=utf-8",
    ],
)
async def test_json_is_accepted_as_clients_write_it(value: str) -> None:
    """RFC 9110 §8.3.1: case and spaces do not matter."""
    _, device = await ada(mode="bearer")
    body = json.dumps(LOGIN).encode()
    assert (await device.post("/auth/login", headers=[("content-type", value)], body=body)).status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_an_empty_body_is_never_judged_by_its_type(mode: str) -> None:
    """DESIGN §4.6: clients send odd headers along with nothing; `{}` is nothing as well."""
    home = await house(mode=mode)
    for types in TYPES:
        headers = [("content-type", value) for value in types]
        for path in ("/auth/refresh", "/auth/logout", "/auth/logout/all"):
            device = await home.signed_in()
            answer = await device.post(path, headers=headers)
            if path == "/auth/refresh" and mode == "bearer":
                assert (answer.status, answer.get("www-authenticate")) == (401, "Bearer")
            else:
                assert answer.status == 200, (path, types)
        answer = await home.device().post("/auth/login", headers=headers)
        assert errors(answer) == [("password", "missing")]
    device = await home.signed_in()
    if mode != "bearer":
        assert (await device.post("/auth/refresh", {})).status == 200
    assert (await device.post("/auth/logout", {})).status == 200


async def test_a_body_where_none_belongs_is_not_read() -> None:
    """GET and DELETE: whatever comes along is left alone."""
    _, device = await ada(mode="bearer")
    for method, path in (("GET", "/auth/me"), ("GET", "/auth/sessions"), ("DELETE", "/auth/sessions")):
        answer = await device.call(method, path, body=b"{" * 100_000)
        assert answer.status == 200


@pytest.mark.parametrize("path", ROUTES)
async def test_no_refusal_repeats_what_was_sent(path: str) -> None:
    """ASVS 16.5.1, attack 96: passwords and tokens typed into the wrong field, or of a wrong type."""
    _, device = await ada(mode="bearer")
    canary = "hunter2-canary"
    for body in (
        {"password": canary, "email": 1},
        {"password": [canary], "email": ADA},
        {"password": canary * 100, "email": ADA},
        {"password": {"value": canary}},
        {"email": canary * 40, "password": canary},
        {"username": canary, "password": canary},
        {"refresh_token": canary, "x": canary},
        {"refresh_token": [canary]},
        [canary],
        canary,
    ):
        answer = await device.post(path, body, keep=False)
        assert answer.status in (401, 422, 200)
        assert canary.encode() not in answer.body, body
        assert canary not in str(answer.headers)
    answer = await device.post(path, headers=[JSON], body=b'{"password": "hunter2-canary"')
    assert canary.encode() not in answer.body


async def test_many_wrong_fields_do_not_make_a_long_answer() -> None:
    """Attack 80: 16 kB in must not be a quarter of a MB out."""
    _, device = await ada(mode="bearer")
    body = json.dumps({f"{number:x}": 0 for number in range(1600)}, separators=(",", ":")).encode()
    assert len(body) <= MAX_BODY
    for path in ROUTES:
        answer = await device.post(path, headers=[JSON], body=body)
        assert answer.code == "invalid_request"
        assert len(answer.body) <= 2 * MAX_BODY


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["email", "username", "password", "refresh_token", "x", ""])


def test_no_body_whatever_is_a_server_error() -> None:
    """ASVS 2.2.1: any JSON and any bytes get one of the documented answers."""
    with start_blocking_portal() as portal:
        home = portal.call(house)

        async def send(path: str, body: bytes) -> Answer:
            return await call(home.app, "POST", path, headers=[JSON, ORIGIN], body=body)

        @settings(max_examples=150, derandomize=True)
        @given(
            st.sampled_from(list(ROUTES)), st.dictionaries(NAMES, VALUES, max_size=4), st.binary(max_size=60)
        )
        def never(path: str, body: dict[str, Any], junk: bytes) -> None:
            text = json.dumps(body).encode()
            for sent in (text, junk, text + junk):
                answer = portal.call(send, path, sent)
                assert answer.status in (200, 400, 401, 422), answer.body
                if answer.status == 200:
                    assert path.startswith("/auth/logout")

        never()


@pytest.mark.parametrize(
    "sid", ["x", "1", "0", "..", "%2e%2e", "*", "%00", "%", "null", "0199a2b0-0000-7000-8000", "é"]
)
async def test_a_session_that_is_no_uuid_is_told(sid: str) -> None:
    """The one parameter in a path: 422 with its name, or no such path."""
    _, device = await ada(mode="bearer")
    answer = await device.delete(f"/auth/sessions/{sid}")
    assert errors(answer) == [("sid", "invalid")]


async def test_unknown_modes_are_told_by_the_name_of_the_header() -> None:
    """DESIGN §5: a mode that is not enabled, misspelt, twice."""
    home = await house(mode="cookies,bearer")
    for values in (["hybrid"], ["Cookies"], [""], ["cookies "], ["cookies,bearer"], ["cookies", "cookies"]):
        headers = [("x-auth-mode", value) for value in values]
        answer = await home.device(mode="bearer").sign_in(headers=headers)
        assert errors(answer) == [("X-Auth-Mode", "unknown_mode")], values
        assert answer.cookies == []
