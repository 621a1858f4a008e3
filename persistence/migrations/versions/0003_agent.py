"""What agents need: budgets and what was spent, attachments, tasks delegated by tasks, arguments that people edited.

Revision: 0003. Types are spelled out here, as in 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
JSON = sa.JSON().with_variant(sa.Text(), "sqlite")


def _task_columns() -> list[sa.Column]:
    return [
        sa.Column("parent_id", ID),
        sa.Column("root_id", ID),
        sa.Column("depth", sa.Integer, nullable=False, server_default="0"),
        sa.Column("budget", JSON),
        sa.Column("attachments", JSON),
    ]


def upgrade() -> None:
    for column in _task_columns():
        op.add_column("tasks", column)
    for name, columns in (("ix_tasks_parent", ["parent_id", "id"]), ("ix_tasks_root", ["root_id"])):
        delegated = sa.text(f"{columns[0]} IS NOT NULL")
        op.create_index(name, "tasks", columns, sqlite_where=delegated, postgresql_where=delegated)
    op.add_column("calls", sa.Column("edited", JSON))
    op.create_table(
        "files",
        sa.Column("task_id", ID, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("data", sa.LargeBinary),
    )
    op.create_table(
        "usage",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("name", ID, primary_key=True),
        sa.Column("day", sa.Text, primary_key=True),
        sa.Column("model_calls", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cost_usd", sa.Float(53), nullable=False),
        sa.Column("skill_calls", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("wall_ms", sa.Float(53), nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("usage")
    op.drop_table("files")
    op.drop_column("calls", "edited")
    for name in ("ix_tasks_root", "ix_tasks_parent"):
        op.drop_index(name, "tasks")
    for column in reversed(_task_columns()):
        op.drop_column("tasks", column.name)
