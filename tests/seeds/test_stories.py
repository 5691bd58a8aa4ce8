"""Every document's story by curl and by Python, from sign-in to copies that are worth nothing.

All are told at once, because each waits until its access token has expired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.seeds.callers import CALLERS
from tests.seeds.house import names_on_this_machine, running
from tests.seeds.settings import SEEDS
from tests.seeds.stories import ACCESS_TTL, tell


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[tuple[str, str], Future[None]]]:
    stories = {}
    with names_on_this_machine(), ExitStack() as street, ThreadPoolExecutor(2 * len(SEEDS)) as pool:
        for seed in SEEDS:
            folder = tmp_path_factory.mktemp("house")
            house = street.enter_context(running(seed, folder, access_ttl=f"{ACCESS_TTL}s"))
            for kind, caller in CALLERS.items():
                stories[seed, kind] = pool.submit(tell, seed, caller(house, folder))
        yield stories


@pytest.mark.parametrize("kind", CALLERS)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_whole_story(seed: str, kind: str, told: Mapping[tuple[str, str], Future[None]]) -> None:
    """R49: by settings alone, from sign-in to a sign-out after which no copy is good for anything."""
    told[seed, kind].result()
