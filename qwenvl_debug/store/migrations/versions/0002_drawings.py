"""Which region of a browser's drawing a row is, its last change by name, and how often each picture was drawn on.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Name the regions there are by their numbers; the pictures they are on count as drawn on."""
    op.create_table(
        "drawings",
        sa.Column("picture", sa.Text, sa.ForeignKey("pictures.sha256", name="fk_drawings_picture"), nullable=False),
        sa.Column("changes", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("picture", name="pk_drawings"),
    )
    op.add_column("regions", sa.Column("key", sa.Text))
    op.add_column("regions", sa.Column("change", sa.Text))
    op.execute("UPDATE regions SET key = 'row-' || id, change = 'row-' || id")
    op.execute("INSERT INTO drawings (picture, changes) SELECT picture, count(*) FROM regions GROUP BY picture")
    with op.batch_alter_table("regions") as table:
        table.alter_column("key", nullable=False)
        table.alter_column("change", nullable=False)
        table.create_unique_constraint("uq_regions_picture", ["picture", "key"])
