"""Which tokens were used; and feedback by the day it came, for its removal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("feedback_event_received", "feedback_event", ["received"])
    op.create_table(
        "replay_token",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("expires", sa.String(32), nullable=False),
    )
    op.create_index("replay_token_expires", "replay_token", ["expires"])
