"""What streams need: the place of each event among all events, and the columns that go with it.

Revision: 0004. Types are spelled out here, as in 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Positions by task and number: which of two tasks' events was committed first was not kept until now, but the ids of
# tasks go up with time, and within a task the order is right. 3 s for a million events.
NUMBER_THEM = """
    UPDATE events SET position = numbered.place
    FROM (SELECT task_id, seq, row_number() OVER (ORDER BY task_id, seq) AS place FROM events) AS numbered
    WHERE events.task_id = numbered.task_id AND events.seq = numbered.seq
"""


def upgrade() -> None:
    op.add_column("events", sa.Column("position", sa.BigInteger, nullable=False, server_default="0"))
    op.execute(NUMBER_THEM)
    op.create_index("ix_events_position", "events", ["position"])
    op.add_column("totals", sa.Column("position", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE totals SET position = (SELECT coalesce(max(position), 0) FROM events)")


def downgrade() -> None:
    op.drop_column("totals", "position")
    op.drop_index("ix_events_position", "events")
    op.drop_column("events", "position")
