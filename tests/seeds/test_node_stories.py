"""Each document's client, over fetch and over Axios, lives through its whole story against our server unchanged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.seeds.house import USERNAME, inhabited, running
from tests.seeds.settings import SEEDS
from tests.servers import EMAIL

ACCESS_SECONDS = 2
EXPIRED_AFTER = ACCESS_SECONDS + 5 + 1.2
"""Past the verifier's leeway for clocks that differ."""

Facts = dict[str, Any]
STORIES = [(name, client) for name in SEEDS for client in ("fetch", "axios")]
CROSS_SITE = {"S1": "https://app.example.net"}
"""Pages of another site, which SameSite=None is for; the others' are of the server's own."""
REFRESHING = {"S1", "S2", "S3", "S4 bearer"}
TOKENS = {
    "S0": ([], ["auth_token"]),
    "S1": (["accessToken"], ["rt"]),
    "S2": (["access_token"], ["refresh_token"]),
    "S3": ([], ["access_token", "refresh_token"]),
    "S4 bearer": (["refresh_token", "token"], []),
    "S4 cookie": ([], ["token"]),
    "S4 session": ([], ["sessionId"]),
}
HALFWAY = {"S3": {"step": "two_factor", "tokens": [], "cookies": ["two_factor_auth"], "profile": 401}}
"""What the password alone is worth, where a code follows."""
every_story = pytest.mark.parametrize(("name", "client"), STORIES)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Facts]]:
    """What happened, by document and client. All at once: most of a story is waiting for a token to expire."""
    inhabited()

    def tell(name: str) -> dict[str, Facts]:
        folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
        more = {"trusted_origins": CROSS_SITE[name]} if name in CROSS_SITE else {}
        with running(name, folder, access_ttl=f"{ACCESS_SECONDS}s", **more) as house:
            # Where a document says nothing of CORS, its pages and its server are of one origin.
            page = CROSS_SITE.get(name) or (house.page if SEEDS[name].get("cors") == "app" else house.url)
            facts = {"name": name, "page": page, "username": USERNAME, "expired_after": EXPIRED_AFTER}
            answer: dict[str, Facts] = house.node("story.mjs", **facts)
            return answer

    with ThreadPoolExecutor(len(SEEDS)) as threads:
        return dict(zip(SEEDS, threads.map(tell, SEEDS), strict=True))


@pytest.fixture
def facts(told: dict[str, dict[str, Facts]], name: str, client: str) -> Facts:
    return told[name][client]


@every_story
def test_the_guard_lets_in_who_is_signed_in(facts: Facts, name: str) -> None:
    """R5, R43: GET /profile and POST /data, for the signed-in alone."""
    assert facts["stranger"] == 401
    assert facts["posted"] == {"saved": {"color": "green"}, "by": facts["profile"]["id"]}
    claims = {"S0": {"username": USERNAME}, "S1": {"email": EMAIL}}.get(name, {})
    assert facts["profile"] == {"id": facts["profile"]["id"], "roles": [], **claims}


@every_story
def test_tokens_travel_as_the_document_says(facts: Facts, name: str) -> None:
    """R3, R20, R21, R27, R39, R43, R45, R46: what scripts see of them, and which cookies the jar holds."""
    assert (facts["tokens"], facts["cookies"]) == TOKENS[name]


@every_story
def test_without_its_code_a_sign_in_is_worth_nothing(facts: Facts, name: str) -> None:
    """R35, R36: the first of two steps gives a cookie that opens nothing."""
    assert facts["halfway"] == HALFWAY.get(name)


@every_story
def test_an_expired_token_is_renewed_unseen(facts: Facts, name: str) -> None:
    """R10, R24: three calls at once all succeed, over one refresh at a time where the client refreshes."""
    refreshing = name in REFRESHING
    assert facts["expired"] == (401 if refreshing else 200)
    assert facts["renewed"] == [200, 200, 200]
    assert (facts["needless"], facts["flights"]) == (0, 1 if refreshing else 0)


@every_story
def test_a_reload_signs_nobody_out(facts: Facts) -> None:
    """W2, W16: two tabs that lost their memory refresh at once, neither knowing of the other; both go on."""
    assert facts["boots"] == [200, 200]
    assert facts["reloaded"] == [200, 200]


@every_story
def test_signing_out_leaves_nothing_that_works(facts: Facts, name: str) -> None:
    """R7, R23, R38, R47, W8, W9, W15: not to the client, nor to who copied its cookies and access token before."""
    assert facts["goodbye"] == {"ok": True, "message": "Logged out"}
    assert (facts["left"], facts["memory"]) == ([], None)
    assert (facts["refused"], facts["revoked"]) == (401, 401)
    assert facts["gone"] == (401 if name in REFRESHING else None)
