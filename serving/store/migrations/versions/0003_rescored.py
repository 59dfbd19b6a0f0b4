"""Verdicts of other models beside those in use

Revision: 0003, after 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rescored",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("off_channel", sa.Boolean(), nullable=False),
        sa.Column("out_of_scope", sa.Boolean(), nullable=False),
        sa.Column("thanks", sa.Boolean(), nullable=False),
        sa.Column("asks", sa.Boolean(), nullable=False),
        sa.Column("takes_back", sa.Boolean(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("replaced_by", sa.String(), nullable=True),
        sa.Column("replaced_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["seq"], ["messages.seq"], name=op.f("fk_rescored_seq"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("seq", "model", name=op.f("pk_rescored")),
    )
    with op.batch_alter_table("rescored", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rescored_model_seq"), ["model", "seq"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_rescored_replaced_by_replaced_at"),
            ["replaced_by", "replaced_at"],
            unique=False,
        )


def downgrade() -> None:
    op.drop_table("rescored")
