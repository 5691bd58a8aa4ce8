"""Budgets of rate limits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def text() -> sa.types.TypeEngine[str]:
    """As `tables.text`, but as it was then."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add a table that the version before does not know."""
    op.create_table(
        "ww_throttle",
        sa.Column("key", text(), nullable=False),
        sa.Column("tat", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_ww_throttle"),
    )
    op.create_index("ix_ww_throttle_tat", "ww_throttle", ["tat"])
