"""What a caller writes of a task in fields that have no column of their own, as one JSON object.

Revision: 0010. Types are spelled out here, as in 0001. Tasks from before have said nothing in such fields. No row is
written: it takes a moment, however many tasks there are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("spec", sa.JSON().with_variant(sa.Text(), "sqlite")))


def downgrade() -> None:
    op.drop_column("tasks", "spec")
