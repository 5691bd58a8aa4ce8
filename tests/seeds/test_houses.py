"""Every document's server starts with its settings alone, and each kind of client finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.seeds.house import names_on_this_machine, running
from tests.seeds.settings import SEEDS


@pytest.mark.parametrize("name", SEEDS)
def test_every_client_finds_the_house(name: str, tmp_path: Path) -> None:
    """R49: the union of transports, by settings alone; curl, Python, fetch and Axios over https."""
    hello = {"hello": "world"}
    with running(name, tmp_path) as house:
        assert house.curl(f"{house.url}/").stdout.startswith("HTTP/1.1 200 ")
        with names_on_this_machine(), house.client() as client:
            assert client.get("/").json() == hello
            assert client.get("/profile").status_code == 401
        assert house.node("hello.mjs") == {"fetched": hello, "data": hello}
