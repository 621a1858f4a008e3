"""What keeps a task's work through a crash: the ledger, snapshots, kept answers, webhooks' deliveries.

Revision: 0002. Types are spelled out here, as in 0001.
"""

import json
import time
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
JSON = sa.JSON().with_variant(sa.Text(), "sqlite")


def _task_columns() -> list[sa.Column]:
    return [
        sa.Column("owner", sa.Text),
        sa.Column("crashes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("not_before", TIME),
        sa.Column("redrive_of", ID),
        sa.Column("redriven_as", ID),
        sa.Column("callback_url", sa.Text),
        sa.Column("retry", JSON),
        sa.Column("pause", JSON),
    ]


TASKS = sa.table("tasks", *(sa.column(name) for name in ("id", "status", "error", "error_code", "ended_at")))
EVENTS = sa.table("events", *(sa.column(name) for name in ("task_id", "seq", "topic", "at")), sa.column("data", JSON))
TOTALS = sa.table("totals", *(sa.column(name) for name in ("failed", "live", "stored")))
UNKNOWN = (
    "The server died in a version that kept no ledger, after a skill was called that must not be called twice; "
    "find out what it did, then post the task again if it should be done."
)


def upgrade() -> None:
    _end_what_cannot_be_repeated()
    for column in _task_columns():
        op.add_column("tasks", column)
    dead = sa.text("error_code = 'dead_letter'")
    op.create_index("ix_tasks_dead", "tasks", ["id"], sqlite_where=dead, postgresql_where=dead)
    op.create_table(
        "calls",
        sa.Column("task_id", ID, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("replay", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("effect_id", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("error", JSON),
        sa.Column("result", JSON),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "snapshots",
        sa.Column("task_id", ID, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "answers",
        sa.Column("caller", ID, primary_key=True),
        sa.Column("key", ID, primary_key=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("task_id", ID),
        sa.Column("answer", JSON, nullable=False),
    )
    op.create_index("ix_answers_created_at", "answers", ["created_at"])
    _deliveries()


def _end_what_cannot_be_repeated() -> None:
    """End the tasks that a server of the version before died over inside a call that must not be repeated.

    They have no ledger, so nothing could tell that the call was made; that version ended them in the same way.
    """
    connection = op.get_bind()
    running = connection.execute(sa.select(TASKS.c.id).where(TASKS.c.status == "running")).scalars().all()
    for task_id in running:
        log = sa.select(EVENTS.c.seq, EVENTS.c.topic, EVENTS.c.data).where(EVENTS.c.task_id == task_id)
        rows = connection.execute(log.order_by(EVENTS.c.seq)).all()
        called = [_data(data) for _, topic, data in rows if topic == "agent.skill.started"]
        if any(data.get("replay") in ("keyed", "never") for data in called):
            _end(connection, task_id, rows[-1][0] + 1)


def _data(data: object) -> dict:
    return json.loads(data) if isinstance(data, str) else data


def _end(connection: sa.Connection, task_id: str, seq: int) -> None:
    sqlite = connection.dialect.name == "sqlite"
    now = time.time_ns() // 1000 if sqlite else datetime.now(UTC)
    told = {"error": UNKNOWN, "errorCode": "outcome_unknown"}
    changed = {"status": "failed", "error": UNKNOWN, "error_code": "outcome_unknown", "ended_at": now}
    connection.execute(TASKS.update().values(changed).where(TASKS.c.id == task_id))
    event = {"task_id": task_id, "seq": seq, "topic": "agent.task.failed", "at": now}
    connection.execute(EVENTS.insert().values(**event, data=json.dumps(told) if sqlite else told))
    counts = {"failed": TOTALS.c.failed + 1, "live": TOTALS.c.live - 1, "stored": TOTALS.c.stored + 1}
    connection.execute(TOTALS.update().values(counts))


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", ID, primary_key=True),
        sa.Column("task_id", ID, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("next_at", TIME),
        sa.Column("ended_at", TIME),
        sa.Column("status_code", sa.Integer),
        sa.Column("receiver", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("url", sa.Text, nullable=False),
    )
    op.create_index("ix_deliveries_task", "deliveries", ["task_id", "id"])
    op.create_index("ix_deliveries_state", "deliveries", ["state", "id"])
    op.create_index("ix_deliveries_next", "deliveries", ["next_at"])


def downgrade() -> None:
    for name in ("deliveries", "answers", "snapshots", "calls"):
        op.drop_table(name)
    op.drop_index("ix_tasks_dead", "tasks")
    for column in reversed(_task_columns()):
        op.drop_column("tasks", column.name)
