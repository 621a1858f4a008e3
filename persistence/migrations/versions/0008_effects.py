"""What a call did to its task beside what it returned, so that it is done again where the ledger answers the call.

Revision: 0008. Types are spelled out here, as in 0001. A nullable column, so it takes the same moment however many calls there
are. A program before it answers calls from rows that have one without doing any of it again, as it always did.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.add_column("calls", sa.Column("effects", JSON))


def downgrade() -> None:
    op.drop_column("calls", "effects")
