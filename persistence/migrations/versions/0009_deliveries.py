"""Whose a webhook's receiver is, and who asked for it, and an index that finds what is due with all that it is chosen by.

Revision: 0009. Types are spelled out here, as in 0001. Deliveries from before say neither, and are over within a day.
Less than 1 s for a million tasks: the index holds what is still to be delivered.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("site", "caller"):
        op.add_column("deliveries", sa.Column(name, sa.Text, nullable=False, server_default=""))
    waiting = sa.text("next_at IS NOT NULL")
    columns = ["next_at", "receiver", "site", "caller", "id"]
    op.create_index("ix_deliveries_due", "deliveries", columns, sqlite_where=waiting, postgresql_where=waiting)


def downgrade() -> None:
    op.drop_index("ix_deliveries_due", "deliveries")
    for name in ("caller", "site"):
        op.drop_column("deliveries", name)
