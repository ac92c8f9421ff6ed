"""The log of feedback. Databases made before there were steps have this table already, and keep it as it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "feedback_event",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("service", sa.String(200), nullable=False),
        sa.Column("card", sa.String(1000), nullable=False),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("accepted", sa.Text, nullable=False),
        sa.Column("reason_code", sa.String(1000)),
        sa.Column("reason_system", sa.String(1000)),
        sa.Column("reason_display", sa.String(1000)),
        sa.Column("comment", sa.Text),
        sa.Column("received", sa.String(32), nullable=False),
        sa.UniqueConstraint("card", "outcome", "at", name="feedback_event_once"),
        if_not_exists=True,
    )
