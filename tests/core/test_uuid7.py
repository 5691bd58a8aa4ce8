"""Identifiers: RFC 9562's layout, in the order of time."""

from __future__ import annotations

from itertools import pairwise
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from watchword.core.uuid7 import uuid7

instants = st.integers(0, (1 << 48) * 1000 - 1)
noise = st.binary(min_size=10, max_size=10)


@given(now=instants, randomness=noise)
def test_an_id_is_a_version_7_uuid_in_its_usual_spelling(now: int, randomness: bytes) -> None:
    """ASVS 8.2.3; RFC 9562 §5.7."""
    text = uuid7(now, randomness)
    parsed = UUID(text)
    assert (parsed.version, parsed.variant) == (7, RFC_4122)
    assert text == str(parsed) == text.lower()
    assert parsed.int >> 80 == now // 1000


@given(now=instants, randomness=noise)
def test_the_random_bits_are_those_given(now: int, randomness: bytes) -> None:
    """ASVS 11.5.2: 74 of the 80 bits are kept."""
    value = UUID(uuid7(now, randomness)).int
    given_ = int.from_bytes(randomness, "big")
    assert value & (1 << 62) - 1 == given_ & (1 << 62) - 1
    assert value >> 64 & 0xFFF == given_ >> 68 & 0xFFF


@given(first=instants, second=instants, one=noise, other=noise)
def test_ids_sort_by_the_millisecond_that_they_were_made_in(
    first: int, second: int, one: bytes, other: bytes
) -> None:
    """DESIGN §4.4: as text, which is how databases compare them."""
    if first // 1000 < second // 1000:
        assert uuid7(first, one) < uuid7(second, other)


def test_an_example_of_the_standard_comes_out() -> None:
    """RFC 9562 appendix A.6."""
    randomness = (0xCC3 << 68 | 0x18C4DC0C0C07398F).to_bytes(10, "big")
    assert uuid7(0x017F22E279B0 * 1000 + 999, randomness) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_a_second_of_ids_in_a_row_is_in_order() -> None:
    """DESIGN §4.4."""
    made = [
        uuid7(1_800_000_000_000_000 + step * 1000, b"\xff" * (step % 2) + bytes(10)) for step in range(1000)
    ]
    assert all(one < other for one, other in pairwise(made))
