"""Figures of weeks, and alerts that are about no customer

Revision: 0004, after 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drift_weeks",
        sa.Column("start", sa.Double(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("start", name=op.f("pk_drift_weeks")),
    )
    op.create_index(op.f("ix_feedback_at"), "feedback", ["at"])
    _let_alerts_be_of_nobody(True)


def downgrade() -> None:
    op.execute("DELETE FROM alerts WHERE customer_id IS NULL")
    _let_alerts_be_of_nobody(False)
    op.drop_index(op.f("ix_feedback_at"), "feedback")
    op.drop_table("drift_weeks")


def _let_alerts_be_of_nobody(nullable: bool) -> None:
    """SQLite makes the table anew for this; the next alert must not get the number of a deleted one."""
    last = _last_number()
    with op.batch_alter_table("alerts", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.alter_column("customer_id", existing_type=sa.String(), nullable=nullable)
    if last is not None:
        connection = op.get_bind()
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'alerts'"))
        given = {"last": last}
        connection.execute(sa.text("INSERT INTO sqlite_sequence VALUES ('alerts', :last)"), given)


def _last_number() -> int | None:
    """The highest number that SQLite ever gave to an alert; None elsewhere."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return None
    query = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'alerts'"
    return int(connection.scalar(sa.text(query)) or 0)
