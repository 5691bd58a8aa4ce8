"""What the pages say, in each language: one file of messages a language (messages/<tag>.toml), an app's own over ours.

What a language lacks is said in English. Which language it is, the browser says (Accept-Language, RFC 9110 §12.5.4).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from watchword.errors import SettingsError

OURS = Path(__file__).parent / "messages"
FALLBACK = "en"
MOST_RANGES = 20
"""Ranges of one Accept-Language that are looked at: browsers send five."""

Sections = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages of one language, complete: `tag` is its name in HTML (BCP 47)."""

    tag: str
    sections: Sections

    def say(self, name: str, **values: object) -> str:
        """The message `section.key`, with `{name}` replaced by what `values` say. Raises KeyError if there is none."""
        section, _, key = name.partition(".")
        text = self.sections[section][key]
        for word, value in values.items():
            text = text.replace(f"{{{word}}}", str(value))
        return text


@cache
def languages(own: Path | None) -> Mapping[str, Messages]:
    """Every language by its tag; `own` is an app's folder of templates, whose `messages` add languages and replace
    single messages. Raises SettingsError for a file that cannot be read as one."""
    found: dict[str, Sections] = {}
    for folder in [OURS, *([own / "messages"] if own else [])]:
        for path in sorted(folder.glob("*.toml")):
            found[path.stem] = _merged(found.get(path.stem, {}), _read(path))
    fallback = found[FALLBACK]
    return {tag: Messages(tag, _merged(fallback, sections)) for tag, sections in found.items()}


def choose(accepted: str, known: Mapping[str, Messages]) -> Messages:
    """The language of a visitor: of those that there are, the one that `accepted` (an Accept-Language) likes best.

    `de-AT` is answered by `de` where there is no `de-AT`, and everything that cannot be read by English.
    """
    tags = {tag.lower(): tag for tag in known}
    for wanted in _ranges(accepted):
        while wanted:
            if wanted in tags:
                return known[tags[wanted]]
            wanted = wanted.rpartition("-")[0]
    return known[FALLBACK]


def _ranges(accepted: str) -> list[str]:
    """The language ranges of a header, best first; those that are refused (`q=0`) or cannot be read are left out."""
    weighed: list[tuple[float, str]] = []
    for part in accepted.split(",")[:MOST_RANGES]:
        wanted, _, weight = part.partition(";")
        name, _, value = weight.partition("=")
        try:
            quality = float(value) if name.strip().lower() == "q" else 1.0
        except ValueError:
            continue
        if 0 < quality <= 1:
            weighed.append((-quality, wanted.strip().lower()))
    return [wanted for _, wanted in sorted(weighed, key=lambda pair: pair[0])]


def _read(path: Path) -> Sections:
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    for section, messages in read.items():
        if not isinstance(messages, dict) or not all(isinstance(text, str) for text in messages.values()):
            raise SettingsError(f"{path}: [{section}] must hold texts and nothing else")
    return read


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Sections:
    return {name: {**below.get(name, {}), **above.get(name, {})} for name in {**below, **above}}
