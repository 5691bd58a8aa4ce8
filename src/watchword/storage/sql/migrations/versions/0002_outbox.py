"""Mail that waits to be sent, and leases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def text() -> sa.types.TypeEngine[str]:
    """As `tables.text`, but as it was then."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add two tables; what exists is not touched."""
    op.create_table(
        "ww_outbox",
        sa.Column("id", text(), nullable=False),
        sa.Column("to", text(), nullable=False),
        sa.Column("kind", text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger),
        sa.Column("sent_at", sa.BigInteger),
        sa.Column("last_error", text()),
        sa.PrimaryKeyConstraint("id", name="pk_ww_outbox"),
    )
    op.create_index("ix_ww_outbox_expires_at", "ww_outbox", ["expires_at"])
    op.create_index("ix_ww_outbox_next_at", "ww_outbox", ["next_at"])

    op.create_table(
        "ww_lease",
        sa.Column("name", text(), nullable=False),
        sa.Column("holder", text(), nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_ww_lease"),
    )
