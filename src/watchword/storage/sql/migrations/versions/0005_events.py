"""What happened."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def text() -> sa.types.TypeEngine[str]:
    """As `tables.text`, but as it was then."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add a table that the version before does not know."""
    op.create_table(
        "ww_event",
        sa.Column("id", text(), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("name", text(), nullable=False),
        sa.Column("user_id", text()),
        sa.Column("sid", text()),
        sa.Column("ip", text()),
        sa.Column("detail", text()),
        sa.Column("by", text()),
        sa.Column("written_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ww_event"),
    )
    op.create_index("ix_ww_event_user_id", "ww_event", ["user_id", "id"])
    op.create_index("ix_ww_event_written_at", "ww_event", ["written_at"])
