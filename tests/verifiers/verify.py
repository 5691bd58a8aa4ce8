"""Verify a Watchword's access tokens in another Python service, with PyJWT: pip install 'pyjwt[crypto]'"""

from typing import Any

import jwt


class AccessTokens:
    """`issuer` is the Watchword's setting `url`, `algorithm` the one of that name. One a process is enough."""

    def __init__(self, issuer: str, algorithm: str) -> None:
        self._issuer = issuer
        self._algorithm = algorithm
        # Asked once in five minutes, and for a key that it has not seen, so that a new one needs no restart.
        self._keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json", timeout=5)

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a good token. Raises jwt.PyJWTError for any other."""
        decoded = jwt.decode_complete(
            token,
            self._keys.get_signing_key_from_jwt(token),
            algorithms=[self._algorithm],  # ours, whatever the token says
            issuer=self._issuer,
            audience=self._issuer,
            options={"require": ["iss", "aud", "exp", "iat", "sub", "sid"]},
            leeway=5,  # clocks differ, and after a change of roles a token is dated three seconds ahead
        )
        if decoded["header"].get("typ") != "at+jwt":
            raise jwt.InvalidTokenError("not an access token")
        claims: dict[str, Any] = decoded["payload"]
        return claims
