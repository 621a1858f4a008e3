"""How long tasks took from their acceptance to their end, added up for the average.

Revision: 0006. Types are spelled out here, as in 0001. The tasks that are stored say how long they took; those that were
deleted are taken to have taken as long on average. 1 s for a million tasks.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_MS = {
    "sqlite": "max(ended_at - created_at, 0) / 1000.0",
    "postgresql": "greatest(extract(epoch FROM ended_at - created_at)::float8, 0) * 1000",
}


def upgrade() -> None:
    op.add_column("totals", sa.Column("elapsed_ms", sa.Float(53), nullable=False, server_default="0"))
    mean = f"SELECT avg({_MS[op.get_bind().dialect.name]}) FROM tasks WHERE status IN ('completed', 'failed')"  # noqa: S608
    op.execute(f"UPDATE totals SET elapsed_ms = (completed + failed) * coalesce(({mean}), 0)")  # noqa: S608


def downgrade() -> None:
    op.drop_column("totals", "elapsed_ms")
