"""The requests of every client, made over https to a running house, with what differs from run to run masked."""

from __future__ import annotations

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from tests.seeds.house import USERNAME, House, inhabited, names_on_this_machine, running
from tests.seeds.settings import SEEDS
from tests.servers import EMAIL, PASSWORD

ASKED = ("origin", "content-type", "authorization", "cookie")
ANSWERED = (
    "content-type",
    "www-authenticate",
    "set-cookie",
    "clear-site-data",
    "access-control-allow-origin",
    "access-control-allow-credentials",
)
ACCESS_KEY = {"S1": "accessToken", "S2": "access_token", "S4 bearer": "token"}
"""Where a client finds the access token that it sends as Bearer; the others have theirs in a cookie."""
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+|ww[crs]_[\w-]+")


@dataclass(frozen=True)
class Exchange:
    """A request and its answer, as text."""

    title: str
    method: str
    path: str
    request: str
    answer: str

    @property
    def cookies(self) -> set[str]:
        """The names of those that are set or sent."""
        lines = re.findall(r"^(?:Set-Cookie|Cookie): (.+)$", f"{self.request}\n{self.answer}", re.M)
        return {name for line in lines for name in re.findall(r"(\w+)=<", line)}


@dataclass
class Masks:
    """Placeholders for what no two runs share; equal things get equal ones, in the order of their appearance."""

    port: int
    known: dict[str, str] = field(default_factory=dict)
    kinds: list[str] = field(default_factory=list)

    def name(self, secret: str, kind: str) -> str:
        if secret not in self.known:
            self.kinds.append(kind)
            number = self.kinds.count(kind)
            self.known[secret] = f"<{kind} {number}>" if number > 1 else f"<{kind}>"
        return self.known[secret]

    def __call__(self, text: str) -> str:
        text = _TOKEN.sub(lambda found: self.name(found[0], _kind(found[0])), text)
        for secret, name in self.known.items():
            text = text.replace(secret, name)
        text = text.replace(f":{self.port}", "")
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "<instant>", text)
        text = re.sub(r'("request_id": ")\w+', r"\1<request id>", text)
        text = re.sub(r'("code": ")\d{6}(?=")', r"\1<code>", text)
        # What is left of a life: a second may have passed since it began.
        return re.sub(
            r'(Max-Age=|"expires_?[iI]n": )(\d+)',
            lambda found: f"{found[1]}{-(-int(found[2]) // 60) * 60}",
            text,
        )


def stories() -> dict[str, list[Exchange]]:
    """What every client asks, and what it is answered."""
    inhabited()  # once, before several want it
    with TemporaryDirectory() as folder, names_on_this_machine(), ThreadPoolExecutor(4) as threads:
        told = threads.map(lambda name: _story(name, Path(folder)), SEEDS)
        return dict(zip(SEEDS, told, strict=True))


def _story(name: str, folder: Path) -> list[Exchange]:
    """Sign in, by both steps if there are two, call a guarded route, renew, sign out, and call with what was valid
    until then."""
    own = folder / name.replace(" ", "-")
    own.mkdir()
    with running(name, own) as house, house.client() as client:
        return _Teller(name, house, client).tell()


class _Teller:
    def __init__(self, name: str, house: House, client: httpx2.Client) -> None:
        self.name, self.house, self.client = name, house, client
        self.masks = Masks(house.port)
        self.told: list[Exchange] = []

    def tell(self) -> list[Exchange]:
        prefix = "" if "prefix" in SEEDS[self.name] else "/auth"
        login = "/login/credentials" if self.name == "S3" else "/login"
        who = {"username": USERNAME} if self.name == "S0" else {"email": EMAIL}
        tokens = self.sign_in(prefix + login, who | {"password": PASSWORD})
        self.ask("Call a guarded route", "GET", "/profile")
        brought = {"refresh_token": tokens["refresh_token"]} if "refresh_token" in tokens else None
        self.ask("Renew", "POST", f"{prefix}/refresh", body=brought)
        copied = self.client.build_request("GET", "/profile").headers
        self.ask("Sign out", "POST", f"{prefix}/logout")
        kept = {name: copied[name] for name in ("cookie", "authorization") if name in copied}
        self.ask("The same call with a copy of what was valid", "GET", "/profile", headers=kept)
        return self.told

    def sign_in(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the answer says that signs in: the first, or that to the code which came by mail."""
        if "two_factor" not in SEEDS[self.name]:
            return self.ask("Sign in", "POST", path, body=body)
        _, code = self.house.mail.after(lambda: self.ask("Sign in", "POST", path, body=body))
        return self.ask("Enter the code that came by mail", "POST", "/auth/login/2fa", body={"code": code})

    def ask(
        self, title: str, method: str, path: str, *, body: Any = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        answer = self.client.request(method, path, json=body, headers=self.origin(method) | (headers or {}))
        said: dict[str, Any] = answer.json()
        for kind in ("user", "session"):
            if kind in said:
                self.masks.name(said[kind]["id"], f"{kind} id")
        access = said.get(ACCESS_KEY.get(self.name, ""))
        if access is not None:
            self.client.headers["Authorization"] = f"Bearer {access}"
        request = self.text(f"{method} {path} HTTP/1.1", answer.request.headers, ASKED, body)
        status = f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}"
        replied = self.text(status, answer.headers, ANSWERED, said)
        self.told.append(Exchange(title, method, path, request, replied))
        return said

    def origin(self, method: str) -> dict[str, str]:
        """What a browser says of its page: always to another origin, to its own with what is not safe."""
        if "cors" in SEEDS[self.name]:
            return {"Origin": self.house.page}
        return {} if method == "GET" else {"Origin": self.house.url}

    def text(self, first: str, headers: httpx2.Headers, matter: tuple[str, ...], body: Any) -> str:
        """A message, masked: its first line, the headers that matter, its body if there is one."""
        named = [(name.title().replace("Www", "WWW"), name) for name in matter]
        lines = [f"{shown}: {value}" for shown, name in named for value in headers.get_list(name)]
        text = self.masks("\n".join([first, *lines]))
        return text if body is None else f"{text}\n\n{_json(json.loads(self.masks(json.dumps(body))))}"


def _json(body: dict[str, Any]) -> str:
    """A line a key where one line is too long."""
    whole = json.dumps(body)
    rows = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in body.items()]
    return whole if len(whole) < 100 else "{\n" + ",\n".join(rows) + "\n}"


def _kind(token: str) -> str:
    if token.startswith("ww"):
        return {"wwc_": "login secret", "wwr_": "refresh token", "wws_": "session token"}[token[:4]]
    head = token.partition(".")[0]
    kind = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["typ"]
    return {"at+jwt": "access token", "rt+jwt": "refresh token"}[kind]
