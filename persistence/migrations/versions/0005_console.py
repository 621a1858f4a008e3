"""What a console asks: sessions by their last use, an agent's tasks, how many tasks an agent has ended.

Revision: 0005. Types are spelled out here, as in 0001. Agents count from this revision on: tasks that ended before it
may have been deleted, so no count of them would be right.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_sessions_updated", "sessions", ["updated_at", "id"])
    named = sa.text("agent IS NOT NULL")
    op.create_index("ix_tasks_agent", "tasks", ["agent", "id"], sqlite_where=named, postgresql_where=named)
    op.add_column("usage", sa.Column("tasks", sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    op.execute("DELETE FROM usage WHERE scope = 'agent'")
    op.drop_column("usage", "tasks")
    op.drop_index("ix_tasks_agent", "tasks")
    op.drop_index("ix_sessions_updated", "sessions")
