"""What a store must do for events: one test a fact, run on every implementation (see contract.py)."""

from dataclasses import replace

from anyio import create_task_group

from tests.storage.samples import DAY, SECOND, new_recorded, now_of, stored_user
from watchword.core.record import KEPT, Recorded
from watchword.ports import Store

ADA, EVE = "0199aaaa-0000-7000-8000-00000000000a", "0199aaaa-0000-7000-8000-00000000000e"


async def all_of(store: Store, user_id: str | None = None) -> list[Recorded]:
    """Newest first, without when they were written, which is the store's to say."""
    rows = await store.list_events(user_id, before=None, limit=1000)
    return [replace(row, written_at=0) for row in rows]


class EventContract:
    async def test_an_event_is_kept_whole(self, store: Store) -> None:
        """ASVS 16.2.1."""
        full, bare = new_recorded(ADA), new_recorded(None, sid=None, ip=None, detail=None, by=None)
        before = await now_of(store)
        await store.append_events([full, bare])
        assert await all_of(store) == [bare, full]
        [row, _] = await store.list_events(None, before=None, limit=2)
        assert before <= row.written_at <= await now_of(store)

    async def test_an_event_of_nobody_we_know_is_kept(self, store: Store) -> None:
        """ASVS 16.3.1: what was tried at an account stays known when the account is gone."""
        user = await stored_user(store)
        theirs = new_recorded(user.id)
        await store.append_events([theirs])
        await store.delete_user(user.id, now=await now_of(store))
        assert await all_of(store, user.id) == [theirs]

    async def test_what_is_appended_again_is_there_once_and_unchanged(self, store: Store) -> None:
        """F4: whoever heard no answer asks again."""
        first, second = new_recorded(ADA), new_recorded(ADA)
        await store.append_events([first])
        [kept] = await store.list_events(ADA, before=None, limit=2)
        forged = replace(first, event=replace(first.event, name="forged"))
        await store.append_events([forged, second])
        await store.append_events([first, second])
        assert await all_of(store) == [second, first]
        assert (await store.list_events(ADA, before=None, limit=2))[1] == kept

    async def test_the_same_event_appended_by_many_at_once_is_there_once(self, store: Store) -> None:
        events = [new_recorded(ADA) for _ in range(20)]
        async with create_task_group() as group:
            for _ in range(5):
                group.start_soon(store.append_events, events)
        assert await all_of(store) == events[::-1]

    async def test_nothing_is_appended_without_harm(self, store: Store) -> None:
        await store.append_events([])
        assert await all_of(store) == []

    async def test_any_number_is_appended_at_once(self, store: Store) -> None:
        events = [new_recorded(ADA) for _ in range(500)]
        await store.append_events(events)
        assert await all_of(store) == events[::-1]

    async def test_events_are_listed_newest_first_page_by_page(self, store: Store) -> None:
        events = [new_recorded(ADA) for _ in range(5)]
        await store.append_events(events)
        *_, third, fourth, fifth = events
        page = await store.list_events(ADA, before=None, limit=2)
        assert [row.id for row in page] == [fifth.id, fourth.id]
        page = await store.list_events(ADA, before=fourth.id, limit=1)
        assert [row.id for row in page] == [third.id]
        assert await store.list_events(ADA, before=events[0].id, limit=5) == []

    async def test_a_user_has_the_events_of_that_user_alone(self, store: Store) -> None:
        """ASVS 8.2.2."""
        hers, other, nobodys = new_recorded(ADA), new_recorded(EVE), new_recorded(None)
        await store.append_events([hers, other, nobodys])
        assert await all_of(store, ADA) == [hers]
        assert await all_of(store, EVE) == [other]
        assert await all_of(store, "nobody") == []
        assert await all_of(store) == [nobodys, other, hers]

    async def test_what_was_written_since_is_read_in_the_order_of_writing(self, store: Store) -> None:
        """F19: an event may come long after it happened, and is not missed by who follows the table."""
        late, early = new_recorded(ADA), new_recorded(ADA)
        await store.append_events([early])
        written = (await store.list_events(None, before=None, limit=1))[0].written_at
        await store.append_events([late])
        assert late.id < early.id
        assert [row.id for row in await store.read_events(since=0, limit=9)] == [early.id, late.id]
        assert [row.id for row in await store.read_events(since=0, limit=1)] == [early.id]
        assert early.id in [row.id for row in await store.read_events(since=written, limit=9)]
        now = await now_of(store)
        assert await store.read_events(since=now + SECOND, limit=9) == []

    async def test_what_was_written_at_one_instant_is_read_page_by_page(self, store: Store) -> None:
        """F15: one statement dates all its rows alike, and a page may end among them."""
        events = [new_recorded(ADA) for _ in range(7)]
        await store.append_events(events[:5])
        await store.append_events(events[5:])
        read, since, after = list[str](), 0, ""
        while page := await store.read_events(since=since, after=after, limit=2):
            read += [row.id for row in page]
            since, after = page[-1].written_at, page[-1].id
        assert sorted(read) == [row.id for row in events]
        assert set(read[:5]) == {row.id for row in events[:5]}

    async def test_events_are_swept_in_batches_when_they_have_been_there_long_enough(
        self, store: Store
    ) -> None:
        """ASVS 14.2.7: by when they were written, in whatever order the hosts' clocks put them."""
        await store.append_events([new_recorded(ADA) for _ in range(3)])
        now = await now_of(store)

        async def swept(at: int) -> int:
            return await store.sweep(now=at, ended_for=DAY, revoked_for=DAY, batch=2)

        assert await swept(now + KEPT - SECOND * 60) == 0
        assert len(await all_of(store)) == 3
        assert [await swept(now + KEPT + SECOND) for _ in range(3)] == [2, 1, 0]
        assert await all_of(store) == []
