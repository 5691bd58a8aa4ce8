"""From a template to an answer, under a strict content security policy with a nonce of its own (ASVS 5.0 3.4.3)."""

from __future__ import annotations

import secrets
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from watchword.http.site import Site
from watchword.settings import Mode


def page(site: Site, template: str, **values: Any) -> HTMLResponse:
    """A page. Templates see `nonce`, `prefix`, `mode` and `values`; everything is escaped."""
    nonce = secrets.token_urlsafe(16)
    text = (
        _templates()
        .get_template(template)
        .render(nonce=nonce, prefix=site.settings.prefix, mode=browser_mode(site), **values)
    )
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
    }
    return HTMLResponse(text, headers=headers | {"x-content-type-options": "nosniff"})


def browser_mode(site: Site) -> str | None:
    """The mode that our own pages sign in with; None when only modes without cookies are enabled."""
    enabled = site.settings.mode
    return next((mode.value for mode in (Mode.COOKIES, Mode.HYBRID) if mode in enabled), None)


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("watchword.pages"), autoescape=True, undefined=StrictUndefined)
