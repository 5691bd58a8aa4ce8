"""A factor: a second step that a user has turned on. Pure. What each method asks for is its feature's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Method(StrEnum):
    """How a second step is taken."""

    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Factor:
    """One row, at most one of a method for a user. `created_at` in µs."""

    id: str
    user_id: str
    method: Method
    created_at: int
