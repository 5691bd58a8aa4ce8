"""Challenges, factors, and who has one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def text() -> sa.types.TypeEngine[str]:
    """As `tables.text`, but as it was then."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add two tables and a column with a default, so that the version before goes on inserting users."""
    op.add_column("ww_user", sa.Column("two_factor", sa.Boolean, nullable=False, server_default=sa.false()))

    op.create_table(
        "ww_factor",
        sa.Column("id", text(), nullable=False),
        sa.Column("user_id", text(), nullable=False),
        sa.Column("method", text(), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ww_factor"),
        sa.ForeignKeyConstraint(["user_id"], ["ww_user.id"], name="fk_ww_factor_user_id", ondelete="CASCADE"),
        sa.UniqueConstraint("user_id", "method", name="uq_ww_factor_user_id"),
    )

    op.create_table(
        "ww_challenge",
        sa.Column("id", text(), nullable=False),
        sa.Column("kind", text(), nullable=False),
        sa.Column("user_id", text(), nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("code", sa.LargeBinary, nullable=False),
        sa.Column("payload", text(), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("sent_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("sends", sa.Integer, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_ww_challenge"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["ww_user.id"], name="fk_ww_challenge_user_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("digest", name="uq_ww_challenge_digest"),
        sa.CheckConstraint("length(digest) = 32", name="ck_ww_challenge_digest"),
        sa.CheckConstraint("tries >= 0 AND sends >= 1", name="ck_ww_challenge_counts"),
    )
    op.create_index("ix_ww_challenge_user_id", "ww_challenge", ["user_id"])
    op.create_index("ix_ww_challenge_expires_at", "ww_challenge", ["expires_at"])
