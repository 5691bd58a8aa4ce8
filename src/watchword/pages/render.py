"""From a template to an answer, under a strict content security policy with a nonce of its own (ASVS 5.0 3.4.3).

Templates come from the app's folder first, then from ours; the visitor's language from `languages`.
"""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from watchword.errors import SettingsError
from watchword.http.site import Site
from watchword.pages import assets
from watchword.pages.languages import FALLBACK, choose, languages
from watchword.settings import FieldCase, Settings

OURS = Path(__file__).parent / "templates"
_WORKERS = "worker-src 'self'; "


def page(
    site: Site,
    request: Request,
    template: str,
    *,
    translated: bool = True,
    works: bool = False,
    **values: Any,
) -> HTMLResponse:
    """A page. Templates see `say` (a message by its name), `lang`, `nonce`, `assets` (where files are), what the
    settings say of the API, and `values`; everything is escaped.

    A page that is not `translated` is English whoever looks at it; one that `works` may start workers from our files.
    """
    own, settings, nonce = site.page_templates, site.settings, secrets.token_urlsafe(16)
    accepted = request.headers.get("accept-language", "") if translated else FALLBACK
    messages = choose(accepted, languages(own))
    text = (
        environment(own)
        .get_template(template)
        .render(
            nonce=nonce,
            say=messages.say,
            lang=messages.tag,
            messages=messages.sections,
            assets=assets.folder(settings.prefix),
            prefix=settings.prefix,
            mode=browser_mode(settings),
            camel=settings.field_case is FieldCase.CAMEL,
            **values,
        )
    )
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data:; "
        f"{_WORKERS if works else ''}"
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "content-language": messages.tag,
        "x-content-type-options": "nosniff",
    }
    if translated:
        headers["vary"] = "Accept-Language"
    return HTMLResponse(text, headers=headers)


def browser_mode(settings: Settings) -> str | None:
    """The mode that our own pages sign in with; None when only modes without cookies are enabled."""
    return next((mode.value for mode in settings.mode if mode.in_cookies), None)


def signs_in(settings: Settings) -> bool:
    """Whether our pages sign people in. Without cookies nobody would get from one page to the next."""
    return settings.pages and browser_mode(settings) is not None


@cache
def environment(own: Path | None) -> Environment:
    """The templates, those in `own` before ours. A template of an app's extends ours of the same name as
    `watchword/<name>`. Raises SettingsError when there is no such folder."""
    if own is not None and not own.is_dir():
        raise SettingsError(f"page_templates: there is no folder {own}")
    ours = FileSystemLoader(OURS)
    loaders = [*([FileSystemLoader(own)] if own else []), ours, PrefixLoader({"watchword": ours})]
    return Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
