"""Who asked for what an event tells of: a task, a decision, a cancel.

Revision: 0012. Types are spelled out here, as in 0001. A nullable column, so it takes the same moment however many events there
are; of those from before nobody is known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("caller", sa.Text()))


def downgrade() -> None:
    op.drop_column("events", "caller")
