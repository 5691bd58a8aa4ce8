"""The tables: the one truth about columns, for statements, migrations and foreign keys of a host app.

What a column may hold is declared here and nowhere else; how records become rows is `rows`. Columns are neutral between
the databases: instants are integer µs since 1970, ids and JSON lists are text. A change here needs a migration, and
a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    column,
    false,
    table,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def text() -> TypeEngine[str]:
    """Text that compares and sorts by its bytes in both databases.

    PostgreSQL would use the locale of the database, so that order differs from one installation to the next, and
    an upgrade of its C library leaves indexes on text corrupt.
    """
    return Text().with_variant(Text(collation="C"), "postgresql")


ww_user = Table(
    "ww_user",
    metadata,
    Column("id", text(), primary_key=True),
    Column("email", text(), nullable=False, unique=True),
    Column("email_verified", Boolean, nullable=False),
    Column("username", text(), unique=True),
    Column("digest", text()),
    Column("status", text(), nullable=False),
    Column("roles", text(), nullable=False),
    # In seconds by the clock of the process that changed the roles, as access tokens are issued by such clocks;
    # tokens_from_at is when that was written, by the clock that the feed of revocations reads by.
    Column("tokens_from", BigInteger, nullable=False),
    Column("tokens_from_at", BigInteger, index=True),
    Column("created_at", BigInteger, nullable=False),
    # Whether there is any row of ww_factor, written with it: an insert of a session can ask for it under its lock.
    Column("two_factor", Boolean, nullable=False, server_default=false()),
    CheckConstraint("status IN ('active', 'disabled', 'unverified')", name="status"),
)

ww_session = Table(
    "ww_session",
    metadata,
    Column("sid", text(), primary_key=True),
    Column("user_id", text(), ForeignKey("ww_user.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("mode", text(), nullable=False),
    Column("seed", LargeBinary, nullable=False),
    Column("parent", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
    Column("newest", BigInteger, nullable=False),
    Column("before", BigInteger, nullable=False),
    Column("minted_at", BigInteger, nullable=False),
    Column("rotated_at", BigInteger, nullable=False),
    Column("context", text(), nullable=False),
    Column("crossings", Integer, nullable=False),
    Column("crossed", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("auth_time", BigInteger, nullable=False),
    Column("amr", text(), nullable=False),
    Column("idle_until", BigInteger, nullable=False),
    # The start of idle_until's day, for the sweeper to look up: an index on idle_until itself would change with every
    # rotation, and PostgreSQL then writes a new entry into each of the table's indexes.
    Column("idle_day", BigInteger, nullable=False, index=True),
    Column("ends_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger, nullable=False),
    Column("ip", text(), nullable=False),
    Column("user_agent", text(), nullable=False),
    Column("ended_at", BigInteger, index=True),
    Column("ended_as", text()),
    # A session without its own secret would share its refresh tokens with others of the kind.
    CheckConstraint("length(seed) = 32", name="seed"),
    CheckConstraint("before <= parent AND parent <= floor AND floor < newest", name="lineage"),
    CheckConstraint("(ended_at IS NULL) = (ended_as IS NULL)", name="ended"),
    # Room in each page for the next version of its rows, so that a rotation stays in the page.
    postgresql_with={"fillfactor": 80},
)

# No foreign key: what was revoked stays known when the session's row, or its user's, is gone.
ww_revocation = Table(
    "ww_revocation",
    metadata,
    Column("sid", text(), primary_key=True),
    Column("created_at", BigInteger, nullable=False, index=True),
)

ww_factor = Table(
    "ww_factor",
    metadata,
    Column("id", text(), primary_key=True),
    Column("user_id", text(), ForeignKey("ww_user.id", ondelete="CASCADE"), nullable=False),
    Column("method", text(), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("user_id", "method"),
)

ww_challenge = Table(
    "ww_challenge",
    metadata,
    Column("id", text(), primary_key=True),
    Column("kind", text(), nullable=False),
    Column("user_id", text(), ForeignKey("ww_user.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("code", LargeBinary, nullable=False),
    Column("payload", text(), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("tries", Integer, nullable=False),
    Column("sends", Integer, nullable=False),
    Column("ended_at", BigInteger),
    # What somebody else could have chosen, or what was cut off, is no digest of a secret.
    CheckConstraint("length(digest) = 32", name="digest"),
    CheckConstraint("tries >= 0 AND sends >= 1", name="counts"),
)

ww_outbox = Table(
    "ww_outbox",
    metadata,
    Column("id", text(), primary_key=True),
    Column("to", text(), nullable=False),
    Column("kind", text(), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("tries", Integer, nullable=False),
    # When it is due, less its head start (outbox); null when nothing more is to be done, so that the index leads past
    # whatever was sent.
    Column("next_at", BigInteger, index=True),
    Column("sent_at", BigInteger),
    Column("last_error", text()),
)

ww_lease = Table(
    "ww_lease",
    metadata,
    Column("name", text(), primary_key=True),
    Column("holder", text(), nullable=False),
    Column("until", BigInteger, nullable=False),
)

# A rate limit's budget (core.throttle). A row whose instant has passed says what no row says, and is swept by it.
ww_throttle = Table(
    "ww_throttle",
    metadata,
    Column("key", text(), primary_key=True),
    Column("tat", BigInteger, nullable=False, index=True),
)

# No foreign key: what happened stays known when whom it happened to is gone. Rows are only added, and swept.
ww_event = Table(
    "ww_event",
    metadata,
    Column("id", text(), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("name", text(), nullable=False),
    Column("user_id", text()),
    Column("sid", text()),
    Column("ip", text()),
    Column("detail", text()),
    Column("by", text()),
    # By the database's clock, as ids are by each host's, and a row may come long after its event: whoever follows the
    # table, and the sweeper, go by what all writers share.
    Column("written_at", BigInteger, nullable=False, index=True),
    Index("ix_ww_event_user_id", "user_id", "id"),
)

# Alembic's own; here only to be read.
ww_schema_version = table("ww_schema_version", column("version_num", Text))
