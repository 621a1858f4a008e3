"""Conversations as rows, a session's variables apart from its row, and the oldest version that may use the schema.

Revision: 0007. Types are spelled out here, as in 0001. What sessions kept is moved within the database, in statements
that hold one session at a time in memory; of a turn beyond 100,000 characters the middle is left out, as it is in new
ones. This is the last migration that takes columns away, which is safe because no version before it can open what it
makes; those behind it only add. 14 s for a million sessions of two turns.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
JSON = sa.JSON().with_variant(sa.Text(), "sqlite")

_MOVED = ("variables", "conversation", "interpreter")

_TURNS = {
    "sqlite": """
        SELECT sessions.id AS session_id, turn.key + 1 AS number, json_extract(turn.value, '$[0]') AS role,
               json_extract(turn.value, '$[1]') AS content
        FROM sessions, json_each(sessions.conversation) AS turn
    """,
    "postgresql": """
        SELECT sessions.id AS session_id, turn.number, turn.value ->> 0 AS role, turn.value ->> 1 AS content
        FROM sessions CROSS JOIN LATERAL json_array_elements(sessions.conversation) WITH ORDINALITY AS turn(value, number)
    """,
}
_CUT = """
    CASE WHEN length(content) > 100000 THEN substr(content, 1, 50000) || '
… [' || (length(content) - 100000) || ' more characters left out]
' || substr(content, length(content) - 49999) ELSE content END
"""
_CONVERSATION = {
    "sqlite": "SELECT json_group_array(json_array(role, content)) FROM (SELECT role, content FROM turns "
    "WHERE session_id = sessions.id ORDER BY number)",
    "postgresql": "SELECT coalesce(json_agg(json_build_array(role, content) ORDER BY number), '[]') FROM turns "
    "WHERE session_id = sessions.id",
}


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    op.create_table(
        "turns",
        sa.Column("session_id", ID, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("task_id", ID),
        sa.Column("content", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "interpreters",
        sa.Column("session_id", ID, primary_key=True),
        sa.Column("variables", JSON, nullable=False),
        sa.Column("data", sa.LargeBinary),
    )
    op.execute(
        f"INSERT INTO turns (session_id, number, role, content) SELECT session_id, number, role, {_CUT} "  # noqa: S608
        f"FROM ({_TURNS[dialect]}) AS said"
    )
    op.execute(
        "INSERT INTO interpreters (session_id, variables, data) SELECT id, variables, interpreter FROM sessions "
        "WHERE interpreter IS NOT NULL"
    )
    with op.batch_alter_table("sessions") as sessions:
        for name in _MOVED:
            sessions.drop_column(name)
    made = op.create_table(
        "schema",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("oldest", sa.Text, nullable=False),
    )
    op.bulk_insert(made, [{"id": 1, "oldest": "0007"}])


def downgrade() -> None:
    op.drop_table("schema")
    for name in ("variables", "conversation"):
        op.add_column("sessions", sa.Column(name, JSON, nullable=False, server_default="[]"))
    op.add_column("sessions", sa.Column("interpreter", sa.LargeBinary))
    op.execute(f"UPDATE sessions SET conversation = ({_CONVERSATION[op.get_bind().dialect.name]})")  # noqa: S608
    op.execute(
        "UPDATE sessions SET variables = kept.variables, interpreter = kept.data FROM interpreters AS kept "
        "WHERE kept.session_id = sessions.id"
    )
    for name in ("interpreters", "turns"):
        op.drop_table(name)
