"""The history: tasks, their events, sessions, totals.

Revision: 0001, the first. Types are spelled out here, so that a later change of tables.py does not change
what this migration made.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
JSON = sa.JSON().with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    _tasks()
    op.create_table(
        "events",
        sa.Column("task_id", ID, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("data", JSON, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sessions",
        sa.Column("id", ID, primary_key=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("tasks", sa.Integer, nullable=False),
        sa.Column("variables", JSON, nullable=False),
        sa.Column("conversation", JSON, nullable=False),
        sa.Column("interpreter", sa.LargeBinary),
    )
    _totals()


def _tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", ID, primary_key=True),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("ended_at", TIME),
        sa.Column("execution_time_ms", sa.Float(53)),
        sa.Column("timeout_ms", sa.Integer),
        sa.Column("agent", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("caller", sa.Text),
        sa.Column("available_skills", JSON),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("metadata", JSON, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("output", JSON),
        sa.Column("system_prompt", sa.Text),
        sa.Column("task", sa.Text, nullable=False),
    )
    op.create_index("ix_tasks_session", "tasks", ["session_id", "id"])
    op.create_index("ix_tasks_status", "tasks", ["status", "id"])
    op.create_index("ix_tasks_session_status", "tasks", ["session_id", "status", "id"])
    ended = sa.text("ended_at IS NOT NULL")
    op.create_index("ix_tasks_ended", "tasks", ["ended_at"], sqlite_where=ended, postgresql_where=ended)


def _totals() -> None:
    counts = ("total", "completed", "failed", "cancelled", "live", "stored")
    table = op.create_table(
        "totals",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in counts),
        sa.Column("execution_ms", sa.Float(53), nullable=False),
    )
    op.bulk_insert(table, [{"id": 1, **dict.fromkeys(counts, 0), "execution_ms": 0.0}])


def downgrade() -> None:
    for name in ("totals", "sessions", "events", "tasks"):
        op.drop_table(name)
