"""Faults of S0 that we do not inherit, on the settings with which its client works."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import pytest

from tests.cli.programs import refusal, run
from tests.core.forging import ABSENT
from tests.seeds.callers import CALLERS, Python, header, set_cookies
from tests.seeds.forged import parts, signed_again
from tests.seeds.house import USERNAME, House, house_of
from tests.servers import PASSWORD, Answer

ADA = {"username": USERNAME, "password": PASSWORD}
SISTER, STRANGER = "https://evil.example.com", "https://evil.example.org"
"""Origins of another host of our site, and of another site."""


house = house_of("S0")


by_default = house_of("S0", cookie_prefix="auto")
"""S0 with the names of cookies that we choose where nobody asks for others."""


@pytest.fixture
def client(house: House) -> Python:
    client = Python(house)
    assert client.send("POST", "/auth/login", ADA).status == 200
    return client


def seen_with(house: House, cookie: str) -> Answer:
    return Python(house).send("GET", "/profile", headers={"Cookie": cookie})


@pytest.mark.parametrize("kind", CALLERS)
def test_w10_the_cookie_of_login_reaches_the_whole_site(kind: str, house: House, tmp_path: Path) -> None:
    """W10: a jar sends what `/auth/login` has set to `/profile`, because it has Path=/."""
    client = CALLERS[kind](house, tmp_path)
    assert client.send("POST", "/auth/login", ADA).status == 200
    assert client.send("GET", "/profile").status == 200


class WithoutPath(BaseHTTPRequestHandler):
    """The document's server: its cookie has no Path. It answers with the cookies that it was sent."""

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path == "/auth/login":
            self.send_header("Set-Cookie", "auth_token=jwt; HttpOnly; SameSite=Lax")
        self.end_headers()
        self.wfile.write(self.headers.get("Cookie", "").encode())

    def log_message(self, *words: object) -> None:
        pass


def test_w10_is_seen_by_these_jars(house: House, tmp_path: Path) -> None:
    """W10: without a Path, curl and Python keep the cookie below /auth (RFC 6265 §5.1.4)."""
    with HTTPServer(("127.0.0.1", 0), WithoutPath) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url, jar = f"http://127.0.0.1:{server.server_port}", tmp_path / "jar.txt"
        with httpx2.Client(base_url=url) as client:
            asked = [client.get(path).text for path in ("/auth/login", "/auth/me", "/profile")]
        curled = [house.curl(url + path, jar=jar).stdout for path in ("/auth/login", "/auth/me", "/profile")]
        server.shutdown()
    assert asked == ["", "auth_token=jwt", ""]
    assert ["auth_token=jwt" in answer.partition("\n\n")[2] for answer in curled] == [False, True, False]


@pytest.mark.parametrize("origin", [SISTER, STRANGER, "null", "https://api.example.com.evil.example.org"])
@pytest.mark.parametrize("path", ["/", "/profile", "/auth/me"])
def test_w13_no_origin_is_reflected(origin: str, path: str, client: Python) -> None:
    """W13: pages of origins that nobody named may read nothing, with credentials or without, nor ask for leave."""
    asking = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    for method, headers in (("GET", {"Origin": origin}), ("OPTIONS", asking)):
        answer = client.send(method, path, headers=headers)
        assert header(answer, "access-control-allow-origin") is None
        assert header(answer, "access-control-allow-credentials") is None
    assert client.send("OPTIONS", path, headers=asking).status in (403, 405)  # ours, and the app's own


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "missing"),
        ("supersecret", "32 are needed"),
        ("a" * 64, "too few different"),
        ("change-me-0123456789-abcdefghijklmnop", "placeholder"),
        ("your-secret-0123456789-abcdefghijklmnop", "placeholder"),
    ],
)
def test_w13_nothing_is_served_with_a_made_up_secret(secret: str, reason: str, house: House) -> None:
    """W13: a missing, short, monotonous or placeholder secret is refused before anything listens."""
    assert reason in refusal(run("serve", "--port=0", **house.settings | {"secret": secret}))


def test_w13_tokens_say_by_which_key_and_which_they_are(client: Python) -> None:
    """W13: `kid` names the key, so that it can be changed; `jti` the token; `iss` and `aud` this server."""
    head, claims = parts(client.jar["auth_token"])
    assert head["alg"] == "HS256"
    assert head["kid"]
    assert claims["jti"]
    assert claims["iss"] == claims["aud"] == client.house.url


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://other.example.com"},
        {"aud": "https://other.example.com"},
        {"jti": ABSENT},
        {"sub": ABSENT},
        {"head": {"alg": "none"}},
        {"head": {"alg": "HS512"}},
        {"head": {"kid": "another"}},
    ],
    ids=str,
)
def test_w13_a_right_signature_excuses_no_wrong_claim(change: dict[str, Any], client: Python) -> None:
    """W13: algorithm, key id, issuer and audience are pinned and none is taken from the token, signed as it may be."""
    house, token = client.house, client.jar["auth_token"]
    assert seen_with(house, f"auth_token={signed_again(house, token)}").status == 200
    answer = seen_with(house, f"auth_token={signed_again(house, token, **change)}")
    assert (answer.status, answer.code) == (401, "invalid_token")


@pytest.mark.parametrize(
    "sent_by",
    [
        {"Origin": STRANGER, "Sec-Fetch-Site": "cross-site"},
        {"Origin": SISTER, "Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
    ],
    ids=lambda sent_by: sent_by["Origin"],
)
def test_w14_nobody_is_signed_in_by_a_strangers_page(sent_by: dict[str, str], house: House) -> None:
    """W14: login CSRF: another page cannot sign its visitor in as somebody else, for which SameSite has no answer."""
    victim = Python(house)
    answer = victim.send("POST", "/auth/login", ADA, sent_by)
    assert (answer.status, answer.code, victim.jar) == (403, "csrf_rejected", {})


def test_w14_a_neighbouring_host_changes_nothing(client: Python) -> None:
    """W14: to SameSite a page of another subdomain is the same site: the cookie comes along, and is not enough."""
    for headers in ({"Origin": SISTER, "Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "same-site"}):
        for path in ("/data", "/auth/refresh", "/auth/logout"):
            answer = client.send("POST", path, {}, {"Origin": SISTER} | headers)
            assert (answer.status, answer.code) == (403, "csrf_rejected"), path
    assert client.send("GET", "/profile").status == 200


def test_w14_no_neighbour_can_plant_the_cookie(by_default: House) -> None:
    """W14: unless bare names are asked for, as S0's client must, the name has `__Host-`, which browsers take from this
    host alone; and the bare name, which they take from any, is not read."""
    client = Python(by_default)
    answer = client.send("POST", "/auth/login", ADA)
    line = set_cookies(answer)["__Host-auth_token"]
    assert {"Secure", "Path=/"} <= set(line.split("; "))
    assert "Domain" not in line
    token = client.jar["__Host-auth_token"]
    assert seen_with(by_default, f"__Host-auth_token={token}").status == 200
    assert seen_with(by_default, f"auth_token={token}").status == 401
