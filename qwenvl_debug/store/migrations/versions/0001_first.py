"""The first tables.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table("store", sa.Column("id", sa.Text, nullable=False), sa.PrimaryKeyConstraint("id", name="pk_store"))
    op.create_table(
        "files",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_files"),
    )
    op.create_table(
        "pictures",
        sa.Column("sha256", sa.Text, nullable=False),
        _reference("pictures", "file", "files.name"),
        sa.PrimaryKeyConstraint("sha256", name="pk_pictures"),
    )
    op.create_table(
        "cases",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("expected", sa.Text),
        sa.Column("system", sa.Text),
        sa.Column("pictures", sa.JSON, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cases"),
        sa.UniqueConstraint("key", name="uq_cases_key"),
    )
    op.create_table(
        "case_pictures",
        _reference("case_pictures", "case_id", "cases.id"),
        _reference("case_pictures", "picture", "pictures.sha256"),
        sa.PrimaryKeyConstraint("case_id", "picture", name="pk_case_pictures"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        _reference("runs", "case_id", "cases.id"),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("target", sa.Text),
        sa.Column("tokens", sa.JSON, nullable=False),
        sa.Column("grids", sa.JSON, nullable=False),
        sa.Column("provenance", sa.JSON, nullable=False),
        _reference("runs", "trace", "files.name", nullable=True),
        sa.Column("created", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_table(
        "regions",
        sa.Column("id", sa.Integer, nullable=False),
        _reference("regions", "picture", "pictures.sha256"),
        sa.Column("record", sa.JSON, nullable=False),
        _reference("regions", "masks", "files.name", nullable=True),
        sa.Column("colour", sa.Text),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_regions"),
    )
    op.create_table(
        "comparisons",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        *(_reference("comparisons", name, "runs.id") for name in SIDES),
        sa.Column("target", sa.Text),
        sa.Column("picture", sa.Integer, nullable=False),
        sa.Column("normalisation", sa.Text, nullable=False),
        sa.Column("queries", sa.JSON, nullable=False),
        sa.Column("numbers", sa.JSON, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_comparisons"),
        sa.UniqueConstraint("key", name="uq_comparisons_key"),
    )
    op.create_table(
        "scores",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        _reference("scores", "run_id", "runs.id"),
        sa.Column("record", sa.JSON, nullable=False),
        _reference("scores", "masks", "files.name", nullable=True),
        sa.Column("picture", sa.Integer, nullable=False),
        sa.Column("query", sa.JSON, nullable=False),
        sa.Column("normalisation", sa.Text, nullable=False),
        _reference("scores", "values", "files.name"),
        sa.Column("created", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scores"),
        sa.UniqueConstraint("key", name="uq_scores_key"),
    )
    for table, column in INDEXES:
        op.create_index(f"ix_{table}_{column}", table, [column])


SIDES = ("correct_id", "failing_id", "asked_correct_id", "asked_failing_id")
INDEXES = (
    ("pictures", "file"),
    ("case_pictures", "picture"),
    ("runs", "key"),
    ("runs", "case_id"),
    ("runs", "trace"),
    ("regions", "picture"),
    ("regions", "masks"),
    *(("comparisons", name) for name in SIDES),
    ("scores", "run_id"),
    ("scores", "masks"),
    ("scores", "values"),
)


def _reference(table: str, name: str, to: str, nullable: bool = False) -> sa.Column:
    kind = sa.Integer if to.endswith(".id") else sa.Text
    return sa.Column(name, kind, sa.ForeignKey(to, name=f"fk_{table}_{name}"), nullable=nullable)
