"""What is counted and measured: each name, what it means, its labels, and how the values of several processes make one.

Names only; who counts is a port, and how it is shown a driver. Labels are words of this package's own (a code, a route
as it is declared, a kind), never anything that a request brought: no id, address, path or token (SECURITY-TARGET attack
96). docs/reference/metrics.md says the same to people, and a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meter:
    """`counts` says that it only grows, and its name ends in `_total`; else it goes up and down. Of several processes
    the `largest` value holds, or else their sum."""

    name: str
    about: str
    labels: tuple[str, ...] = ()
    counts: bool = True
    largest: bool = False


LOGINS = Meter(
    "watchword_logins_total",
    "Tries to sign in, by step (password, second_step) and what came of them: signed_in, second_step (a code is asked "
    "for), verify_email, or the code of the refusal.",
    ("step", "outcome"),
)
REFRESHES = Meter(
    "watchword_refreshes_total",
    "Refresh tokens presented, by what was decided: rotate, repeat, branch, superseded, ahead, reuse, ended, unknown.",
    ("decision",),
)
FAILURES = Meter(
    "watchword_failures_total",
    "Requests refused by our routes or the guard, by the code of the answer.",
    ("code",),
)
REQUESTS = Meter(
    "watchword_requests_total",
    "Requests to our own routes, by the route as it is declared (other: none of them) and the class of the status.",
    ("route", "status"),
)
LIMITED = Meter("watchword_limited_total", "Refusals by a rate limit, by its name.", ("limit",))
EVENTS = Meter("watchword_events_total", "Events, by name.", ("name",))
EVENTS_WAITING = Meter("watchword_events_waiting", "Events that the table does not have yet.", counts=False)
FEED_AGE = Meter(
    "watchword_feed_age_seconds",
    "Seconds since revocations were last read in full; the oldest of all processes.",
    counts=False,
    largest=True,
)
FEED_LOOKS = Meter(
    "watchword_feed_looks_total", "Readings of revocations, by outcome: done, failed.", ("outcome",)
)
REVOCATIONS = Meter(
    "watchword_revocations",
    "Revocations held in memory; the most of any process.",
    counts=False,
    largest=True,
)
HASH_RUNNING = Meter("watchword_hash_running", "Password hashes under way.", counts=False)
HASH_WAITING = Meter("watchword_hash_waiting", "Password hashes that wait for a thread.", counts=False)
HASH_REFUSED = Meter("watchword_hash_refused_total", "Password hashes refused because too many waited.")
POOL_SIZE = Meter(
    "watchword_database_pool_connections", "Connections of the pool, on PostgreSQL.", counts=False
)
POOL_WAITING = Meter(
    "watchword_database_pool_waiting", "Callers that wait for a connection, on PostgreSQL.", counts=False
)
WRITER_WAITING = Meter(
    "watchword_sqlite_writer_waiting", "Writes that wait for the writing thread, on SQLite.", counts=False
)
WRITER_BATCHES = Meter("watchword_sqlite_batches_total", "Batches of writes, on SQLite.")
WRITER_WRITES = Meter(
    "watchword_sqlite_writes_total", "Writes in those batches: over their number it is the size of a batch."
)
DATABASE_UP = Meter(
    "watchword_database_up",
    "Whether the database answered this scrape: 1 or 0. Without an answer nothing is said of mail.",
    counts=False,
    largest=True,
)
MAIL_WAITING = Meter(
    "watchword_mail_waiting",
    "Messages that are still to be sent; 5000 stands for more.",
    counts=False,
    largest=True,
)
MAIL_OLDEST = Meter(
    "watchword_mail_oldest_seconds",
    "Age of the oldest message that is still to be sent; 0 without one.",
    counts=False,
    largest=True,
)
MAIL_GIVEN_UP = Meter(
    "watchword_mail_given_up", "Messages given up, of the newest 2000.", counts=False, largest=True
)
WORKERS = Meter(
    "watchword_workers",
    "Processes that serve, by state: answering, or silent for two seconds. Of `watchword serve` alone.",
    ("state",),
    counts=False,
)

ALL = (
    LOGINS,
    REFRESHES,
    FAILURES,
    REQUESTS,
    LIMITED,
    EVENTS,
    EVENTS_WAITING,
    FEED_AGE,
    FEED_LOOKS,
    REVOCATIONS,
    HASH_RUNNING,
    HASH_WAITING,
    HASH_REFUSED,
    POOL_SIZE,
    POOL_WAITING,
    WRITER_WAITING,
    WRITER_BATCHES,
    WRITER_WRITES,
    DATABASE_UP,
    MAIL_WAITING,
    MAIL_OLDEST,
    MAIL_GIVEN_UP,
    WORKERS,
)
