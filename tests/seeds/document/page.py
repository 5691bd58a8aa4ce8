"""The page: texts, settings, the run and the tests put together, and whether the texts speak of what happened."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from tests.seeds.document.record import Exchange
from tests.seeds.settings import COMMON, SEEDS
from tests.traceability import IDS, LATER, found

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "seeds.md"
TEXTS: dict[str, Any] = tomllib.loads((HERE / "texts.toml").read_text(encoding="utf-8"))

Stories = Mapping[str, list[Exchange]]


def rendered(stories: Stories) -> str:
    """The whole page."""
    environment = Environment(  # noqa: S701 - it is Markdown, and all of it ours
        trim_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    template = environment.from_string((HERE / "page.md").read_text(encoding="utf-8"))
    return template.render(
        common=COMMON,
        seeds=SEEDS,
        texts=TEXTS,
        stories=stories,
        lines=_lines,
        rows=lambda kind: [*_rows(kind)],
    )


def slips(stories: Stories) -> list[str]:
    """Where the texts name a client, a setting, a fault, a route or a cookie that is not there, a line each."""
    if TEXTS.keys() != SEEDS.keys():
        return [f"texts.toml: has {', '.join(TEXTS)}, and the settings {', '.join(SEEDS)}"]
    wrong = []
    for name, text in TEXTS.items():
        told = stories[name]
        routes = {f"{exchange.method} {exchange.path}" for exchange in told}
        cookies = set().union(*(exchange.cookies for exchange in told))
        named = {
            "route": set(re.findall(r"[A-Z]+ /[\w/]*", text["diagram"])) ^ routes,
            "cookie": _cookies(text["diagram"]) ^ cookies,
            "setting": text["why"].keys() ^ SEEDS[name].keys(),
            "fault": text["errs"].keys() - set(IDS),
        }
        wrong += [
            f"{name}: {kind} {one} is in the text or in the run, not in both"
            for kind, ones in named.items()
            for one in sorted(ones)
        ]
    return wrong


def _cookies(diagram: str) -> set[str]:
    """Those that it names: `Cookie: this and that` are two."""
    named = re.findall(r"Cookie: (\w+(?: and \w+)*)", diagram)
    return {name for names in named for name in names.split(" and ")}


def _lines(settings: Mapping[str, str], why: Mapping[str, str] | None = None) -> list[str]:
    """Settings as lines for a shell, the reasons in one column behind them."""
    lines = {name: f"export WATCHWORD_{name.upper()}={value}" for name, value in settings.items()}
    width = max(map(len, lines.values()))
    return [f"{line:{width}}  # {why[name]}" if why else line for name, line in lines.items()]


def _rows(kind: str) -> Iterator[str]:
    """The lines of a table: an id, what its test's docstring says, the test; or why there is none."""
    tests = found()
    for ref in IDS:
        if ref.startswith(kind):
            for test in tests.get(ref, []):
                says = re.sub(r"^[RW]\d+[^:;]{0,20}[:;]\s*", "", " ".join(test.states.split()))
                says = (says[:1].upper() + says[1:]).replace("|", "&#124;")
                yield f"| {ref} | {says} | [`{test.name}`](../{test.file}) |"
            if ref not in tests:
                yield f"| {ref} | | {LATER.get(ref, 'none yet')} |"
