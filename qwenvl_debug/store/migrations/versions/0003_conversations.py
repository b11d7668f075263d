"""What came before the last question of a case, and when the frames of a video were taken.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Cases so far have one turn, and no video."""
    op.add_column("cases", sa.Column("conversation", sa.JSON))
