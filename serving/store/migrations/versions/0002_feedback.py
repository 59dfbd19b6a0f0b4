"""Feedback of reviewers, and the messages that they have before them

Revision: 0002, after 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("seq", _SERIAL, nullable=False),
        sa.Column("customer_id", sa.String(), nullable=True),
        sa.Column("message_seq", _SERIAL, nullable=True),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("id", sa.String(), nullable=True),
        sa.Column("group", sa.String(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("ended", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customers.id"],
            name=op.f("fk_feedback_customer_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["message_seq"],
            ["messages.seq"],
            name=op.f("fk_feedback_message_seq"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_feedback")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("feedback", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_feedback_customer_id"), ["customer_id"])
        batch_op.create_index(batch_op.f("ix_feedback_message_seq"), ["message_seq"])
        batch_op.create_index(batch_op.f("ix_feedback_reviewer_item"), ["reviewer", "item"])
        batch_op.create_index(
            "ix_feedback_holding",
            ["item", "reviewer"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "leases",
        sa.Column("message_seq", _SERIAL, nullable=False),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("given_back", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_seq"],
            ["messages.seq"],
            name=op.f("fk_leases_message_seq"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_seq", name=op.f("pk_leases")),
    )
    with op.batch_alter_table("leases", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_leases_reviewer"), ["reviewer"])


def downgrade() -> None:
    op.drop_table("leases")
    op.drop_table("feedback")
