"""From a template to an answer, under a strict content security policy with a nonce of its own (ASVS 5.0 3.4.3)."""

from __future__ import annotations

import secrets
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from watchword.http.site import Site
from watchword.settings import Csrf, FieldCase, Settings


def page(site: Site, template: str, **values: Any) -> HTMLResponse:
    """A page. Templates see `nonce`, what the settings say of the API, and `values`; everything is escaped."""
    nonce, settings = secrets.token_urlsafe(16), site.settings
    text = (
        _templates()
        .get_template(template)
        .render(
            nonce=nonce,
            prefix=settings.prefix,
            mode=browser_mode(settings),
            access_field=settings.access_field,
            camel=settings.field_case is FieldCase.CAMEL,
            csrf=settings.csrf is Csrf.TOKEN,
            **values,
        )
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


def browser_mode(settings: Settings) -> str | None:
    """The mode that our own pages sign in with; None when only modes without cookies are enabled."""
    return next((mode.value for mode in settings.mode if mode.in_cookies), None)


def signs_in(settings: Settings) -> bool:
    """Whether our pages sign people in. Without cookies nobody would get from one page to the next."""
    return settings.pages and browser_mode(settings) is not None


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("watchword.pages"), autoescape=True, undefined=StrictUndefined)
