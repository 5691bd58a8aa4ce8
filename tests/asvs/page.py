"""docs/asvs.md, made of the requirements and of the tests that name them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tests.asvs.requirements import DOCS, Chapter, Requirement, order

PAGE = DOCS / "asvs.md"
SHOWN = 4
"""Files a row; the others are counted."""

_HEAD = """# ASVS 5.0

Every requirement of the OWASP Application Security Verification Standard 5.0.0, what it means for Watchword, and what
proves that. The words are ours; the standard's own are at owasp.org. This page is made by `python -m tests.asvs write`
from `tests/asvs/requirements.toml` and from the ids that tests name in their docstrings, and `make check` fails when a
duty has no proof or the page is out of date.

"""
_KINDS = {
    "duty": "duties of ours",
    "yours": "duties of whoever deploys",
    "unmet": "not met, with the reason",
    "absent": "of things that are not there",
}


def rendered(chapters: Mapping[str, Chapter], proved: Mapping[str, Sequence[str]]) -> str:
    """The whole page."""
    everything = [one for chapter in chapters.values() for one in chapter.requirements]
    parts = [_HEAD, _summary(everything)]
    for name, chapter in chapters.items():
        parts.append(f"\n## {name} {chapter.title}\n\n")
        own = [one for one in chapter.requirements if one.kind != "absent"]
        if own:
            parts.append("| id | level | what it means here | proof |\n|---|---|---|---|\n")
            parts += (_row(one, proved.get(one.id, ())) for one in own)
        absent: dict[str, list[Requirement]] = {}
        for one in chapter.requirements:
            if one.kind == "absent":
                absent.setdefault(one.text, []).append(one)
        if own and absent:
            parts.append("\n")
        for why, ones in absent.items():
            refs = ", ".join(one.id for one in sorted(ones, key=lambda one: order(one.id)))
            parts.append(f"- Does not apply: {refs}. {why}\n")
    return "".join(parts)


def _summary(requirements: Sequence[Requirement]) -> str:
    count = Counter((one.kind, one.level) for one in requirements)
    lines = ["| | level 1 | level 2 | level 3 |", "|---|---|---|---|"]
    for kind, title in _KINDS.items():
        lines.append(f"| {title} | " + " | ".join(str(count[kind, level]) for level in (1, 2, 3)) + " |")
    return "\n".join(lines) + "\n"


def _row(one: Requirement, files: Sequence[str]) -> str:
    text = {"yours": f"*Yours.* {one.text}", "unmet": f"**Not met.** {one.text}"}.get(one.kind, one.text)
    return f"| {one.id} | {one.level} | {text} | {_proof(one, files)} |\n"


def _proof(one: Requirement, files: Sequence[str]) -> str:
    links = [] if one.page is None else [f"[{one.page}]({one.page})"]
    links += (f"[{file.removesuffix('.py')}](../tests/{file})" for file in files[:SHOWN])
    if len(files) > SHOWN:
        links.append(f"and {len(files) - SHOWN} more")
    return ", ".join(links) or "–"
