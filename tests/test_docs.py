"""The documentation says what the code says."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
from starlette.testclient import TestClient

from watchword import meters
from watchword.cli import cli
from watchword.errors import registry
from watchword.parts import tally
from watchword.settings import Settings
from watchword.testing import make_auth

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")])


def _rows(page: str) -> dict[str, str]:
    """The lines of a page's table by what stands in backquotes first."""
    text = (ROOT / page).read_text(encoding="utf-8")
    rows = [(found[1], line) for line in text.splitlines() if (found := re.match(r"\| `([^`]+)`", line))]
    assert len(dict(rows)) == len(rows), "something is described twice"
    return dict(rows)


def test_every_setting_is_described_with_its_default() -> None:
    rows = _rows("docs/reference/settings.md")
    assert rows.keys() == {setting.name for setting in fields(Settings)}
    for setting in fields(Settings):
        described = re.match(r"\|[^|]+\| (?:none|`([^`]+)`) \|", rows[setting.name])
        assert described, setting.name
        assert setting.metadata["read"](described[1] or "") == setting.default, setting.name
        assert ("*secret*" in rows[setting.name]) == setting.metadata["secret"]


def test_every_error_code_is_listed_with_its_status() -> None:
    rows = _rows("docs/reference/errors.md")
    assert rows == {kind.code: f"| `{kind.code}` | {kind.status} | {kind.title} |" for kind in registry()}


def test_every_route_is_listed() -> None:
    text = (ROOT / "docs/reference/http.md").read_text(encoding="utf-8")
    paths = TestClient(make_auth().app, "http://testserver").get("/auth/openapi.json").json()["paths"]
    assert all(f"{path}`" in text or f" {path}," in text for path in paths), paths


def test_every_verb_is_listed_with_its_options() -> None:
    text = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    listed = {
        found[1].strip(): found[2] for found in re.finditer(r"^\| `watchword ([a-z ]+)([^`]*)`", text, re.M)
    }
    verbs = dict(_verbs(cli, ""))
    assert listed.keys() == verbs.keys()
    for name, command in verbs.items():
        options = {
            max(parameter.opts, key=len)
            for parameter in command.params
            if isinstance(parameter, click.Option)
        }
        assert set(re.findall(r"--[a-z-]+", listed[name])) == options, name


def _verbs(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _verbs(below, f"{path} {name}".strip())
    else:
        yield path, command


def test_every_metric_is_described_as_it_is_and_no_other() -> None:
    """ASVS 16.1.1, 16.2.5: what is kept, and that nothing else is."""
    rows = {
        name: row for name, row in _rows("docs/reference/metrics.md").items() if name.startswith("watchword_")
    }
    assert list(rows) == [meter.name for meter in meters.ALL]
    for meter in meters.ALL:
        labels = ", ".join(f"`{label}`" for label in meter.labels)
        kind, together = "count" if meter.counts else "gauge", "largest" if meter.largest else "sum"
        cells = [f"`{meter.name}`", kind, labels, together, meter.about]
        assert [cell.strip() for cell in rows[meter.name].strip("|").split("|")] == cells


def test_every_metric_that_a_page_speaks_of_exists() -> None:
    known = {meter.name for meter in meters.ALL}
    for page in PAGES:
        named = set(re.findall(r"\bwatchword_[a-z_]*[a-z]", page.read_text(encoding="utf-8")))
        assert named - known <= NOT_METRICS, page


def test_there_is_an_alert_on_every_metric_or_another_use_of_it() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert [meter.name for meter in meters.ALL if meter.name not in text] == []


def test_alerts_name_labels_and_values_that_there_are() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    known = {meter.name: meter for meter in meters.ALL}
    told = {(name, *labels) for name, labels, _ in tally().rows()}
    for name, selector in re.findall(r"\b(watchword_[a-z_]+)\{([^}]*)\}", text):
        for label, value in re.findall(r'(\w+)="([^"]*)"', selector):
            assert label in known[name].labels
            if known[name].labels == (label,) and name not in WORDED:
                assert (name, value) in told, (name, value)


NOT_METRICS = {"watchword_auth", "watchword_clock"}
"""Fixtures of `watchword.testing`."""
WORDED = {"watchword_workers"}
"""Whose values stand in their description alone."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize(("language", "file"), [("python", "verifiers/verify.py"), ("js", "node/verify.mjs")])
def test_the_guide_shows_the_verifiers_that_are_tested(language: str, file: str) -> None:
    """R48: tests/verifiers runs these very files."""
    page = (ROOT / "docs/guides/keys.md").read_text(encoding="utf-8")
    shown = re.findall(rf"^```{language}\n(.*?)^```$", page, re.M | re.S)
    assert shown == [(ROOT / "tests" / file).read_text(encoding="utf-8")]
