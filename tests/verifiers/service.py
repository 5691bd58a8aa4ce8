"""A service that verifies a Watchword's access tokens and hears who has signed out: fastapi and pyjwt[crypto]."""

import json
import os
import threading
import time
from typing import Annotated, Any
from urllib.request import Request, urlopen

import jwt
from fastapi import FastAPI, Header, HTTPException

ISSUER, ALGORITHM = os.environ["ISSUER"], os.environ["ALGORITHM"]
CREDENTIALS = {"Authorization": f"Bearer {os.environ['FEED_TOKEN']}"}
BELIEVED_SECONDS = 20  # without a good answer for so long, nothing passes

keys = jwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json", timeout=5)
ended: dict[str, float] = {}  # by sid, until when it matters
tokens_from: dict[str, int] = {}  # by user
heard_at = float("-inf")
app = FastAPI()


def follow() -> None:
    global heard_at
    after = ""
    while True:
        asked_at = time.monotonic()
        try:
            url = f"{ISSUER}/auth/revocations?wait=5" + after
            with urlopen(Request(url, headers=CREDENTIALS), timeout=10) as answer:
                news = json.load(answer)
        except (OSError, ValueError):  # whatever went wrong, time goes on
            time.sleep(1)
            continue
        for row in news["ended"]:
            ended[row["sid"]] = time.time() + news["keep_for"]
        for row in news["tokens_from"]:
            tokens_from[row["user_id"]] = max(row["second"], tokens_from.get(row["user_id"], 0))
        for sid in [sid for sid, until in ended.items() if until < time.time()]:
            del ended[sid]
        after, heard_at = f"&after={news['after']}", asked_at


threading.Thread(target=follow, daemon=True).start()


@app.get("/whoami")
def whoami(authorization: Annotated[str, Header()] = "") -> dict[str, Any]:
    token = authorization.removeprefix("Bearer ")
    try:
        key = keys.get_signing_key_from_jwt(token)
        found = jwt.decode_complete(token, key, [ALGORITHM], issuer=ISSUER, audience=ISSUER, leeway=5)
        claims = found["payload"]
        sid, user, issued_at = claims["sid"], claims["sub"], claims["iat"]
    except (jwt.PyJWTError, KeyError):
        raise HTTPException(401, "invalid_token") from None
    if found["header"].get("typ") != "at+jwt":
        raise HTTPException(401, "invalid_token")
    if time.monotonic() - heard_at > BELIEVED_SECONDS:
        raise HTTPException(503, "unavailable")
    if sid in ended or issued_at < tokens_from.get(user, 0):
        raise HTTPException(401, "session_ended" if sid in ended else "token_expired")
    return {"id": user}
