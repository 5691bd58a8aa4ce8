"""The reference store keeps the contract."""

import pytest

from tests.storage.contract import StoreContract
from watchword.drivers.clock import SystemClock
from watchword.ports import Store
from watchword.storage.memory import MemoryStore


@pytest.fixture
def store() -> Store:
    return MemoryStore(SystemClock())


class TestMemoryStore(StoreContract):
    pass
