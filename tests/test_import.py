"""What `import watchword` costs: nothing but our own light modules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import watchword
from watchword.errors import WatchwordError
from watchword.settings import Settings

ROOT = Path(__file__).parents[1]
HEAVY = (
    *(
        "alembic",
        "anyio",
        "argon2",
        "asyncio",
        "click",
        "cryptography",
        "dns",
        "email_validator",
        "fastapi",
        "httpx",
    ),
    *("idna", "jinja2", "joserfc", "psycopg", "pydantic", "pydantic_core", "sqlalchemy", "sqlite3", "ssl"),
    *("opentelemetry", "prometheus_client", "starlette", "uvicorn"),
)


def modules_after(statement: str) -> set[str]:
    """The names in sys.modules of a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": os.environ.get("PATH", "")},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import watchword",
        "from watchword import Settings, WatchwordError, __version__",
        "import watchword; watchword.Settings.parse({'url': 'https://app.example.com', 'access_ttl': '5m'})",
        "import watchword; dir(watchword); hasattr(watchword, 'nothing')",
    ],
)
def test_the_package_pulls_in_no_framework_no_database_and_no_cryptography(statement: str) -> None:
    """DESIGN §3; R13."""
    modules = modules_after(statement)
    assert "watchword" in modules
    assert {name for name in modules if name.partition(".")[0] in HEAVY} == set()


def test_only_errors_and_settings_of_ours_come_along() -> None:
    """DESIGN §3."""
    ours = {name for name in modules_after("import watchword") if name.startswith("watchword")}
    settings = {
        "watchword.settings",
        "watchword.texts",
        "watchword.choices",
        "watchword.rates",
        "watchword.spans",
    }
    assert ours == {"watchword", "watchword.errors"} | settings


def test_the_whole_is_there_when_it_is_asked_for() -> None:
    """DESIGN §7: `from watchword import Watchword` still brings no web framework and no SQL toolkit."""
    modules = modules_after("from watchword import Watchword, Principal")
    assert {"watchword.auth", "watchword.core.session"} <= modules
    assert (
        not {"fastapi", "starlette", "pydantic", "sqlalchemy", "alembic", "jinja2", "uvicorn", "click"}
        & modules
    )


@pytest.mark.parametrize("name", watchword.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    """DESIGN §3."""
    assert getattr(watchword, name) is not None


def test_public_names_are_the_things_themselves() -> None:
    """DESIGN §3."""
    from watchword.auth import Watchword
    from watchword.core.session import Principal

    assert (watchword.Watchword, watchword.Principal) == (Watchword, Principal)
    assert (watchword.Settings, watchword.WatchwordError) == (Settings, WatchwordError)


def test_a_name_that_is_not_there_is_an_ordinary_error() -> None:
    """DESIGN §3: hasattr, getattr with a default and `from … import` behave as with any module."""
    with pytest.raises(AttributeError, match="module 'watchword' has no attribute 'nothing'"):
        watchword.nothing  # noqa: B018 - the look-up is the test
    with pytest.raises(ImportError):
        from watchword import nothing  # noqa: F401 - the import is the test
    assert not hasattr(watchword, "_nothing")
