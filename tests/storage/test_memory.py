"""The reference store keeps the contract."""

from dataclasses import replace

import pytest

from tests.storage.contract import StoreContract
from tests.storage.contract_challenges import Age
from watchword.core.challenge import Challenge
from watchword.drivers.clock import SystemClock
from watchword.storage.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(SystemClock())


@pytest.fixture
def age(store: MemoryStore) -> Age:
    async def older(challenge: Challenge, micros: int) -> None:
        row = store._challenges[challenge.id]
        created, sent, expires = (at - micros for at in (row.created_at, row.sent_at, row.expires_at))
        store._challenges[row.id] = replace(row, created_at=created, sent_at=sent, expires_at=expires)

    return older


class TestMemoryStore(StoreContract):
    pass
