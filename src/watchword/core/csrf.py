"""Whether an unsafe request may be carried out, judged by what the browser says of where it comes from. Pure.

Sources: Fetch Metadata (W3C), OWASP CSRF cheat sheet, ASVS 5.0 3.5.1, 4.4.2; SECURITY-TARGET attacks 81–86.
"""

from __future__ import annotations

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 §9.2.1) and are not judged."""


def trusted(
    *,
    sec_fetch_site: str | None,
    origin: str | None,
    trusted_origins: frozenset[str],
    carries_our_cookies: bool,
) -> bool:
    """True when the request comes from a page of ours or of a trusted origin, or from no browser's cookie jar at all.

    `trusted_origins` are serialised origins (`https://app.example.com`), our own among them, compared exactly.
    """
    if sec_fetch_site in ("same-origin", "none"):
        return True
    if origin is not None:
        return origin in trusted_origins
    return sec_fetch_site is None and not carries_our_cookies
