"""Calls, the cards they were answered with, and the suggestions on these."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "hook_call",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("service", sa.String(200), nullable=False),
        sa.Column("hook", sa.String(200), nullable=False),
        sa.Column("client", sa.String(200), nullable=False),
        sa.Column("site", sa.String(200)),
        sa.Column("knowledge", sa.String(200), nullable=False),
        sa.Column("language", sa.String(20), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("duration_ms", sa.Float, nullable=False),
        sa.Column("patient_hash", sa.String(64)),
        sa.Column("user_hash", sa.String(64)),
        sa.Column("unread", sa.Text, nullable=False),
        sa.Column("undecided", sa.Text, nullable=False),
    )
    op.create_index("hook_call_at", "hook_call", ["at"])
    op.create_index("hook_call_patient", "hook_call", ["patient_hash"])
    op.create_table(
        "card",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("call_id", sa.String(64), sa.ForeignKey("hook_call.id", name="card_of_call"), nullable=False),
        sa.Column("rule", sa.String(200), nullable=False),
        sa.Column("variant", sa.String(200)),
        sa.Column("indicator", sa.String(20), nullable=False),
        sa.Column("shown", sa.Boolean, nullable=False),
    )
    op.create_index("card_call", "card", ["call_id"])
    op.create_index("card_rule", "card", ["rule"])
    op.create_table(
        "suggestion",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("card_id", sa.String(64), sa.ForeignKey("card.id", name="suggestion_of_card"), nullable=False),
        sa.Column("order_id", sa.String(200)),
        sa.Column("recommended", sa.Boolean, nullable=False),
    )
    op.create_index("suggestion_card", "suggestion", ["card_id"])
