"""Users, sessions and what was revoked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def text() -> sa.types.TypeEngine[str]:
    """As `tables.text`, but as it was then."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables of the first release."""
    op.create_table(
        "ww_user",
        sa.Column("id", text(), nullable=False),
        sa.Column("email", text(), nullable=False),
        sa.Column("email_verified", sa.Boolean, nullable=False),
        sa.Column("username", text()),
        sa.Column("digest", text()),
        sa.Column("status", text(), nullable=False),
        sa.Column("roles", text(), nullable=False),
        sa.Column("tokens_from", sa.BigInteger, nullable=False),
        sa.Column("tokens_from_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ww_user"),
        sa.UniqueConstraint("email", name="uq_ww_user_email"),
        sa.UniqueConstraint("username", name="uq_ww_user_username"),
        sa.CheckConstraint("status IN ('active', 'disabled', 'unverified')", name="ck_ww_user_status"),
    )
    op.create_index("ix_ww_user_tokens_from_at", "ww_user", ["tokens_from_at"])

    op.create_table(
        "ww_session",
        sa.Column("sid", text(), nullable=False),
        sa.Column("user_id", text(), nullable=False),
        sa.Column("mode", text(), nullable=False),
        sa.Column("seed", sa.LargeBinary, nullable=False),
        sa.Column("parent", sa.BigInteger, nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=False),
        sa.Column("newest", sa.BigInteger, nullable=False),
        sa.Column("before", sa.BigInteger, nullable=False),
        sa.Column("minted_at", sa.BigInteger, nullable=False),
        sa.Column("rotated_at", sa.BigInteger, nullable=False),
        sa.Column("context", text(), nullable=False),
        sa.Column("crossings", sa.Integer, nullable=False),
        sa.Column("crossed", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("auth_time", sa.BigInteger, nullable=False),
        sa.Column("amr", text(), nullable=False),
        sa.Column("idle_until", sa.BigInteger, nullable=False),
        sa.Column("idle_day", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger, nullable=False),
        sa.Column("ip", text(), nullable=False),
        sa.Column("user_agent", text(), nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("ended_as", text()),
        sa.PrimaryKeyConstraint("sid", name="pk_ww_session"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["ww_user.id"], name="fk_ww_session_user_id", ondelete="CASCADE"
        ),
        sa.CheckConstraint("length(seed) = 32", name="ck_ww_session_seed"),
        sa.CheckConstraint(
            "before <= parent AND parent <= floor AND floor < newest", name="ck_ww_session_lineage"
        ),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_as IS NULL)", name="ck_ww_session_ended"),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index("ix_ww_session_user_id", "ww_session", ["user_id"])
    op.create_index("ix_ww_session_ended_at", "ww_session", ["ended_at"])
    op.create_index("ix_ww_session_idle_day", "ww_session", ["idle_day"])

    op.create_table(
        "ww_revocation",
        sa.Column("sid", text(), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("sid", name="pk_ww_revocation"),
    )
    op.create_index("ix_ww_revocation_created_at", "ww_revocation", ["created_at"])
