"""Watchword: login for Python web apps.

Public names only; each is imported where it is first asked for, so that `import watchword` costs next to nothing and
pulls in neither a framework nor a database toolkit.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from watchword.errors import WatchwordError
from watchword.settings import Settings

if TYPE_CHECKING:
    from watchword.auth import Watchword
    from watchword.core.session import Principal

__version__ = "0.1.0"
__all__ = ["Principal", "Settings", "Watchword", "WatchwordError", "__version__"]

_LAZY = {"Watchword": "watchword.auth", "Principal": "watchword.core.session"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
