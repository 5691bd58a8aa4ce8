"""`watchword secret`: a line for scripts, three steps for people, and never a secret that is set already."""

from pathlib import Path

import pytest

from tests.cli.programs import run
from tests.core.forging import pem, rsa_key
from watchword.settings import Settings, check_production

OLD = "an-old-one-0123456789-abcdefghijkl"
OLDER = "an-older-one-0123456789-abcdefghij"


def steps(**settings: str) -> list[str]:
    """Standard error, line by line, of a run that did its work and shows no secret there."""
    done = run("secret", **settings)
    assert done.exit_code == 0
    new = done.stdout.strip()
    assert not any(secret in done.stderr for secret in (new, OLD, OLDER, *settings.get("secret", "").split()))
    return done.stderr.splitlines()


def test_a_secret_is_printed_alone_and_is_good_enough() -> None:
    """ASVS 6.3.2, 7.2.3: one line on standard output, which passes every check of `serve`."""
    made = {run("secret").stdout for _ in range(5)}
    assert len(made) == 5
    for line in made:
        check_production(Settings.parse({"secret": line}))
        assert (len(line), line[-1]) == (65, "\n")


def test_the_three_steps_of_a_rotation_stand_beside_it() -> None:
    """R26; ASVS 13.3.4."""
    assert steps() == [
        "Keep it out of the repository: as WATCHWORD_SECRET, or in a WATCHWORD_SECRET_FILE.",
        "To rotate from OLD, what servers run with, to NEW, the line above, with nobody signed out:",
        "1. WATCHWORD_SECRET becomes OLD,NEW on every server: restart one after another.",
        "2. When all run with that: WATCHWORD_SECRET becomes NEW,OLD.",
        "3. When all have run with that for 7d (refresh_ttl): WATCHWORD_SECRET becomes NEW.",
    ]


def test_the_steps_are_those_of_the_secrets_that_are_set() -> None:
    """R26: how many there are, and how long a session may stay idle here."""
    _, what, *three = steps(secret=f"{OLD},{OLDER}", refresh_ttl="36h")
    assert (
        what == "To rotate from OLD1,OLD2, what is set here, to NEW, the line above, with nobody signed out:"
    )
    assert three == [
        "1. WATCHWORD_SECRET becomes OLD1,OLD2,NEW on every server: restart one after another.",
        "2. When all run with that: WATCHWORD_SECRET becomes NEW,OLD1,OLD2.",
        "3. When all have run with that for 36h (refresh_ttl): WATCHWORD_SECRET becomes NEW.",
    ]


def test_the_steps_name_the_file_that_holds_the_secrets(tmp_path: Path) -> None:
    """ASVS 13.3.1: the file, and nothing that is in it."""
    file = tmp_path / "root-secrets"
    file.write_text(OLD)
    lines = steps(secret_file=str(file))
    assert [line for line in lines if str(file) in line] == lines[2:]


@pytest.mark.parametrize(
    ("span", "shown"), [("15m", "15m"), ("90m", "90m"), ("48h", "2d"), ("1000s", "1000s"), ("900.5s", "901s")]
)
def test_the_wait_is_written_as_settings_are(span: str, shown: str) -> None:
    assert f"for {shown} (refresh_ttl)" in steps(secret=OLD, refresh_ttl=span)[-1]


@pytest.mark.parametrize(("algorithm", "told"), [("HS256", False), ("ES256", True), ("EdDSA", True)])
def test_who_publishes_keys_is_told_to_let_caches_expire(algorithm: str, told: bool) -> None:
    """R48: `/.well-known/jwks.json` may be kept for five minutes."""
    assert any("five minutes" in line for line in steps(secret=OLD, algorithm=algorithm)) is told


def test_who_signs_with_rsa_is_told_that_it_has_keys_of_its_own() -> None:
    """R26: another root secret is no other RSA key."""
    *_, last = steps(secret=OLD, algorithm="RS256", rsa_key=pem(rsa_key(0)).decode())
    assert "rsa_key" in last


@pytest.mark.parametrize("settings", [{"secret": "short"}, {"secret_ttl": "5"}, {"secret_file": "/nowhere"}])
def test_settings_that_are_wrong_are_no_reason_to_have_no_secret(settings: dict[str, str]) -> None:
    """The refusal of a bad secret says that this verb makes a good one."""
    assert len(steps(**settings)) == 5
