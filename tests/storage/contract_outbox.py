"""What a store must do for mail and for work that one process at a time does: one test a fact, run on every
implementation (see contract.py)."""

from dataclasses import replace

from anyio import create_task_group, sleep

from tests.storage.samples import DAY, SECOND, new_mail, now_of, queued_mail
from watchword.core.mail import SOON_AHEAD, Queued
from watchword.drivers.clock import SystemClock
from watchword.ports import MailCounts, Store

MINUTE = 60 * SECOND


def lived(life: int) -> dict[str, int]:
    """The instants of a message that is of use for so long."""
    now = SystemClock().now()
    return {"created_at": now, "expires_at": now + life}


async def only(store: Store) -> Queued:
    """The one message that there is."""
    [row] = await store.list_mail(before=None, limit=2)
    return row


class OutboxContract:
    async def test_a_queued_message_is_due_at_once_and_whole(self, store: Store) -> None:
        before = await now_of(store)
        mail = await queued_mail(store)
        leased = await store.lease_mail(span=MINUTE)
        assert leased is not None
        assert leased.mail == mail
        assert (leased.tries, leased.sent_at, leased.last_error) == (1, None, None)
        assert leased.next_at is not None
        assert before + MINUTE <= leased.next_at <= await now_of(store) + MINUTE

    async def test_an_empty_outbox_has_nothing_to_send(self, store: Store) -> None:
        assert await store.lease_mail(span=MINUTE) is None
        assert await store.list_mail(before=None, limit=10) == []

    async def test_no_two_senders_are_given_the_same_message(self, store: Store) -> None:
        """F12: each leaves once when nothing fails."""
        mails = {(await queued_mail(store)).id for _ in range(10)}
        given: list[str] = []

        async def send() -> None:
            while (leased := await store.lease_mail(span=MINUTE)) is not None:
                given.append(leased.mail.id)

        async with create_task_group() as group:
            for _ in range(5):
                group.start_soon(send)
        assert sorted(given) == sorted(mails)

    async def test_what_was_handed_out_and_never_reported_is_due_again(self, store: Store) -> None:
        """I4: a sender that died loses nothing."""
        mail = await queued_mail(store)
        await store.lease_mail(span=0)
        again = await store.lease_mail(span=MINUTE)
        assert again is not None
        assert (again.mail, again.tries) == (mail, 2)
        assert await store.lease_mail(span=MINUTE) is None

    async def test_what_has_been_due_for_longest_goes_first(self, store: Store) -> None:
        mails = []
        for _ in range(3):
            mails.append(await queued_mail(store))
            await sleep(0.002)
        given = [await store.lease_mail(span=MINUTE) for _ in mails]
        assert [row.mail for row in given if row is not None] == mails

    async def test_a_flood_of_links_and_notices_delays_no_code(self, store: Store) -> None:
        """F12: what is of use for the shortest time goes first, and each sort in its order."""
        mails = [
            await queued_mail(store, **lived(life)) for life in (3 * DAY, 1800 * SECOND, 600 * SECOND) * 3
        ]
        given = [await store.lease_mail(span=MINUTE) for _ in mails]
        assert [row.mail.id for row in given if row is not None] == [
            *(mail.id for mail in mails[2::3]),
            *(mail.id for mail in mails[1::3]),
            *(mail.id for mail in mails[::3]),
        ]

    async def test_a_code_that_failed_goes_first_once_it_is_due_and_not_before(self, store: Store) -> None:
        """F12: a server that greylists."""
        code = await queued_mail(store, **lived(600 * SECOND))
        link = await queued_mail(store, **lived(1800 * SECOND))
        first = await store.lease_mail(span=MINUTE)
        assert first is not None
        assert first.mail == code
        assert await store.mail_failed(first, "later", wait=MINUTE)
        second = await store.lease_mail(span=0)
        assert second is not None
        assert second.mail == link
        assert await store.mail_failed(first, "now", wait=0)
        third = await store.lease_mail(span=MINUTE)
        assert third is not None
        assert (third.mail, third.tries) == (code, 2)

    async def test_when_a_message_is_due_is_told_as_it_is(self, store: Store) -> None:
        """Whatever goes before it."""
        for life in (600 * SECOND, 1800 * SECOND, 3 * DAY):
            before = await now_of(store)
            mail = await queued_mail(store, **lived(life))
            row = next(row for row in await store.list_mail(before=None, limit=3) if row.mail == mail)
            assert row.next_at is not None
            assert before <= row.next_at <= await now_of(store)
            leased = await store.lease_mail(span=MINUTE)
            assert leased is not None
            assert leased.next_at is not None
            assert before + MINUTE <= leased.next_at <= await now_of(store) + MINUTE

    async def test_a_notice_that_has_waited_for_hours_goes_before_a_code(self, store: Store) -> None:
        """F12: nothing waits for ever."""
        notice = await queued_mail(store, **lived(3 * DAY))
        leased = await store.lease_mail(span=-SOON_AHEAD - SECOND)
        assert leased is not None
        await queued_mail(store, **lived(600 * SECOND))
        again = await store.lease_mail(span=MINUTE)
        assert again is not None
        assert again.mail == notice

    async def test_a_sent_message_is_due_no_more_and_tells_nothing(self, store: Store) -> None:
        """ASVS 14.2.4: a code that has left is not kept."""
        mail = await queued_mail(store)
        before = await now_of(store)
        await store.lease_mail(span=0)
        await store.mail_sent(mail.id)
        assert await store.lease_mail(span=MINUTE) is None
        row = await only(store)
        assert row.mail == replace(mail, sealed=b"")
        assert (row.tries, row.next_at, row.last_error) == (1, None, None)
        assert row.sent_at is not None
        assert row.sent_at >= before

    async def test_a_failed_message_is_due_again_after_its_wait(self, store: Store) -> None:
        mail = await queued_mail(store)
        leased = await store.lease_mail(span=MINUTE)
        assert leased is not None
        assert await store.mail_failed(leased, "451 later", wait=2 * MINUTE)
        row = await only(store)
        assert (row.mail, row.tries, row.last_error) == (mail, 1, "451 later")
        assert row.next_at is not None
        assert row.next_at > await now_of(store) + MINUTE
        assert await store.lease_mail(span=MINUTE) is None
        assert await store.mail_failed(leased, "451 later", wait=0)
        assert (await store.lease_mail(span=MINUTE)) is not None

    async def test_a_message_that_was_given_up_stays_to_be_seen(self, store: Store) -> None:
        await queued_mail(store)
        leased = await store.lease_mail(span=0)
        assert leased is not None
        assert await store.mail_failed(leased, "550 nobody", wait=None)
        assert await store.lease_mail(span=MINUTE) is None
        row = await only(store)
        assert (row.next_at, row.sent_at, row.last_error) == (None, None, "550 nobody")

    async def test_who_was_overtaken_cannot_report_a_failure(self, store: Store) -> None:
        await queued_mail(store)
        slow, fast = await store.lease_mail(span=0), await store.lease_mail(span=MINUTE)
        assert slow is not None
        assert fast is not None
        assert not await store.mail_failed(slow, "timeout", wait=None)
        assert await only(store) == fast
        await store.mail_sent(fast.mail.id)
        assert not await store.mail_failed(fast, "timeout", wait=0)
        assert (await only(store)).next_at is None

    async def test_what_is_gone_is_reported_in_vain(self, store: Store) -> None:
        await store.mail_sent("nothing")
        assert not await store.mail_failed(Queued(new_mail()), "550", wait=0)
        assert await store.list_mail(before=None, limit=10) == []

    async def test_how_the_outbox_stands_is_told(self, store: Store) -> None:
        assert isinstance(store, MailCounts)
        empty = await store.count_mail()
        assert (empty.waiting, empty.oldest, empty.given_up) == (0, None, 0)
        mails = [await queued_mail(store) for _ in range(4)]
        for _ in range(2):
            leased = await store.lease_mail(span=MINUTE)
            assert leased is not None
            if leased.mail == mails[0]:
                await store.mail_sent(leased.mail.id)
            else:
                assert await store.mail_failed(leased, "no", wait=None)
        before = await now_of(store)
        depth = await store.count_mail()
        assert (depth.waiting, depth.given_up) == (2, 1)
        assert depth.oldest == min(mail.created_at for mail in mails[2:])
        assert before <= depth.now <= await now_of(store)

    async def test_mail_is_listed_newest_first_page_by_page(self, store: Store) -> None:
        mails = sorted([await queued_mail(store) for _ in range(5)], key=lambda mail: mail.id, reverse=True)
        page = await store.list_mail(before=None, limit=2)
        assert [row.mail for row in page] == mails[:2]
        page = await store.list_mail(before=mails[1].id, limit=10)
        assert [row.mail for row in page] == mails[2:]

    async def test_expired_mail_is_swept_in_batches_sent_or_not(self, store: Store) -> None:
        """ASVS 14.2.7."""
        now = await now_of(store)
        kept = await queued_mail(store)
        for _ in range(3):
            await queued_mail(store, expires_at=now - 1)
        sent = await queued_mail(store, expires_at=now - 1)
        await store.mail_sent(sent.id)
        swept = [await store.sweep(now=now, ended_for=DAY, revoked_for=DAY, batch=3) for _ in range(3)]
        assert swept == [3, 1, 0]
        assert (await only(store)).mail == kept

    async def test_one_process_at_a_time_holds_a_lease(self, store: Store) -> None:
        assert await store.take_lease("sweep", "one", span=MINUTE)
        assert not await store.take_lease("sweep", "two", span=MINUTE)
        assert await store.take_lease("another", "two", span=MINUTE)

    async def test_whoever_holds_a_lease_may_take_it_again_and_leave_it(self, store: Store) -> None:
        assert await store.take_lease("sweep", "one", span=MINUTE)
        assert await store.take_lease("sweep", "one", span=0)
        assert await store.take_lease("sweep", "two", span=MINUTE)
        assert not await store.take_lease("sweep", "one", span=MINUTE)

    async def test_of_many_who_ask_for_a_lease_one_has_it(self, store: Store) -> None:
        taken: list[str] = []

        async def ask(holder: str) -> None:
            if await store.take_lease("sweep", holder, span=MINUTE):
                taken.append(holder)

        async with create_task_group() as group:
            for number in range(20):
                group.start_soon(ask, f"process {number}")
        assert len(taken) == 1
