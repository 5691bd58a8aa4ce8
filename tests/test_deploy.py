"""The examples of a deployment name verbs, options, settings and addresses that there are."""

import json
import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
import yaml  # type: ignore[import-untyped] # uvicorn's, which brings no types
from starlette.testclient import TestClient

from watchword.cli import cli
from watchword.cli.workers import LAST_SECONDS
from watchword.errors import SettingsError
from watchword.settings import Settings
from watchword.testing import make_auth

DEPLOY = Path(__file__).parent.parent / "examples" / "deploy"
SETTINGS = {setting.name: setting for setting in fields(Settings)}


def unit() -> dict[str, dict[str, list[str]]]:
    """The service's sections, each with the values of a key in their order."""
    sections: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd/watchword.service").read_text().splitlines():
        if found := re.fullmatch(r"\[([A-Za-z]+)\]", line):
            section = sections.setdefault(found[1], {})
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, line
            section.setdefault(key, []).append(value)
    return sections


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "container/compose.yaml").read_text())
    return loaded


def containerfile(instruction: str) -> list[str]:
    """What follows an instruction, in the order of lines."""
    text = (DEPLOY / "container/Containerfile").read_text()
    return re.findall(rf"^{instruction} (.+)$", text, re.M)


def check_verb(words: list[str]) -> None:
    """Raises click.UsageError for what is no verb, option or value of ours; nothing is run."""
    command: click.Command = cli
    while isinstance(command, click.Group):
        command = command.commands[words[0]]
        words = words[1:]
    command.make_context("example", list(words))


def check_setting(name: str, value: str) -> None:
    """Fails for what `Settings.from_env` would not take."""
    assert name.startswith("WATCHWORD_")
    word = name.removeprefix("WATCHWORD_").lower()
    if word.endswith("_file") and word not in SETTINGS:
        assert SETTINGS[word.removesuffix("_file")].metadata["secret"], name
        return
    Settings.parse({word: value})


def test_the_unit_starts_verbs_that_there_are() -> None:
    service = unit()["Service"]
    for line in service["ExecStartPre"] + service["ExecStart"]:
        program, *words = shlex.split(line)
        assert program == "/opt/watchword/bin/watchword"
        check_verb(words)
    assert "migrate" in service["ExecStartPre"][0]


def test_the_unit_names_settings_that_there_are() -> None:
    for line in unit()["Service"]["Environment"]:
        name, _, value = line.partition("=")
        check_setting(name, value)
    lines = (DEPLOY / "systemd/environment.example").read_text().splitlines()
    assert len(lines) > 3
    for line in lines:
        name, _, value = line.partition("=")
        check_setting(name, value)


def test_the_unit_gives_the_server_the_time_that_it_takes_to_stop() -> None:
    """F16."""
    service = unit()["Service"]
    assert int(service["TimeoutStopSec"][0]) > LAST_SECONDS
    assert service["KillMode"] == ["mixed"], "the one that leads tells the others"


def test_the_unit_runs_without_rights() -> None:
    service = unit()["Service"]
    assert service["User"] == ["watchword"]
    assert service["NoNewPrivileges"] == ["yes"]
    assert service["CapabilityBoundingSet"] == [""]
    assert service["ProtectSystem"] == ["strict"]
    assert "WATCHWORD_SECRET=" not in "".join(service["Environment"]), "it is no environment variable"


def test_the_container_runs_a_verb_as_nobody_who_is_root() -> None:
    assert [user.partition(":")[0] for user in containerfile("USER")] == ["10001"]
    assert json.loads(containerfile("ENTRYPOINT")[0]) == ["watchword"], "it gets the signal itself"
    check_verb(json.loads(containerfile("CMD")[0]))


def test_the_container_is_asked_for_its_health_at_a_route_of_ours() -> None:
    command = json.loads(containerfile("HEALTHCHECK")[0].partition("CMD ")[2])
    [path] = re.findall(r"http://127\.0\.0\.1:8000(/[a-z/]+)", command[-1])
    assert path in TestClient(make_auth().app, "http://testserver").get("/auth/openapi.json").json()["paths"]


@pytest.mark.parametrize("name", ["migrate", "watchword"])
def test_the_services_run_verbs_and_settings_that_there_are(name: str) -> None:
    service = compose()["services"][name]
    check_verb(service["command"])
    for key, value in service["environment"].items():
        check_setting(key, value)
        if value.startswith("/run/secrets/"):
            assert value.removeprefix("/run/secrets/") in service["secrets"]


def test_the_server_starts_behind_the_tables_and_has_time_to_stop() -> None:
    """F16, F18."""
    services = compose()["services"]
    server = services["watchword"]
    assert server["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert int(server["stop_grace_period"].removesuffix("s")) > LAST_SECONDS
    declared = compose()
    for service in services.values():
        assert set(service.get("secrets", ())) <= declared["secrets"].keys()
        assert all(volume.partition(":")[0] in declared["volumes"] for volume in service.get("volumes", ()))


@pytest.mark.parametrize("words", [["server"], ["serve", "--wrokers", "2"], ["serve", "--port", "x"]])
def test_a_verb_that_there_is_not_would_be_noticed(words: list[str]) -> None:
    with pytest.raises((click.UsageError, KeyError)):
        check_verb(words)


@pytest.mark.parametrize("name", ["WATCHWORD_SECERT_FILE", "WATCHWORD_URL_FILE", "WATCHWORD_NOTHING"])
def test_a_setting_that_there_is_not_would_be_noticed(name: str) -> None:
    with pytest.raises((AssertionError, KeyError, SettingsError)):
        check_setting(name, "x")
