"""What does the database hold? Every table, once, for SQLite and PostgreSQL alike; `migrations` makes them.

A row that names a file refers to `files`, so neither database lets go of a file that is still needed. Text is kept
exactly, also where PostgreSQL would refuse it, see `Words`. Times are ISO 8601 in UTC, as in a run's provenance.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, ForeignKey, MetaData, Text, TypeDecorator, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

HEAD = "0003"
"""The migration that makes the tables as they stand here."""


def now() -> str:
    """This moment."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Words(TypeDecorator):
    """Text of any origin. PostgreSQL takes no NUL, so it is written as a backslash and 0; half a surrogate pair, which
    a file's name may hold, is no character at all and is spelled out for good."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        if value is None:
            return None
        value = value.encode("utf-8", "backslashreplace").decode()
        return value.replace("\\", "\\\\").replace("\0", "\\0")

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        if value is None:
            return None
        return "\\".join(part.replace("\\0", "\0") for part in value.split("\\\\"))


class Base(DeclarativeBase):
    """What all tables share: names of keys that are the same in both databases."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {dict[str, Any]: JSON, list[Any]: JSON}


class StoreRow(Base):
    """Which store this is: its only row names the folder of its files, so that two databases never share one."""

    __tablename__ = "store"
    id: Mapped[str] = mapped_column(Text, primary_key=True)


class FileRow(Base):
    """A file that is safe on the disk."""

    __tablename__ = "files"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)


class PictureRow(Base):
    """A picture, by the hash of its pixels."""

    __tablename__ = "pictures"
    sha256: Mapped[str] = mapped_column(Text, primary_key=True)
    file: Mapped[str] = mapped_column(ForeignKey("files.name"), index=True)


class CaseRow(Base):
    """A case; `key` is a hash of all that makes it up. pictures: [{"sha256", "name"}, …] in their order, with the EXIF
    "orientation" that was applied to a picture where it is not 1.

    conversation: NULL for a question about pictures, else {"history": [{"question", "answer", "pictures"}, …],
    "seconds": [of each frame of a video]}.
    """

    __tablename__ = "cases"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Text, unique=True)
    question: Mapped[str] = mapped_column(Words)
    expected: Mapped[str | None] = mapped_column(Words)
    system: Mapped[str | None] = mapped_column(Words)
    pictures: Mapped[list[Any]]
    conversation: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created: Mapped[str] = mapped_column(Text)


class CasePictureRow(Base):
    """Which case shows which picture, for looking up and so that none of them is lost."""

    __tablename__ = "case_pictures"
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), primary_key=True)
    picture: Mapped[str] = mapped_column(ForeignKey("pictures.sha256"), primary_key=True, index=True)


class RunRow(Base):
    """A run; `key` is a hash of what was asked, so several runs may share it. Without a trace, that was removed."""

    __tablename__ = "runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Text, index=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    answer: Mapped[str] = mapped_column(Words)
    target: Mapped[str | None] = mapped_column(Words)
    tokens: Mapped[list[Any]]
    grids: Mapped[list[Any]]
    provenance: Mapped[dict[str, Any]]
    trace: Mapped[str | None] = mapped_column(ForeignKey("files.name"), index=True)
    created: Mapped[str] = mapped_column(Text)


class DrawingRow(Base):
    """A picture that somebody has drawn on, whatever is left of it; `changes` grows with every change."""

    __tablename__ = "drawings"
    picture: Mapped[str] = mapped_column(ForeignKey("pictures.sha256"), primary_key=True)
    changes: Mapped[int] = mapped_column()


class RegionRow(Base):
    """A region drawn on a picture; its masks, if any, lie in a file. `version` counts the changes.

    `key` names the region among those of its picture, `change` its last change; see `drawing_rows`.
    """

    __tablename__ = "regions"
    __table_args__ = (UniqueConstraint("picture", "key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Text)
    change: Mapped[str] = mapped_column(Text)
    picture: Mapped[str] = mapped_column(ForeignKey("pictures.sha256"), index=True)
    record: Mapped[dict[str, Any]]
    masks: Mapped[str | None] = mapped_column(ForeignKey("files.name"), index=True)
    colour: Mapped[str | None] = mapped_column(Words)
    created: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column()
    # An update names the version it was made from: where another came first it changes no row, and that is an error.
    __mapper_args__: ClassVar[dict[str, Any]] = {"version_id_col": version}


class ComparisonRow(Base):
    """A comparison and its numbers, which outlive the traces they were computed from.

    correct_id, failing_id: what the model said. asked_correct_id, asked_failing_id: whose words asked; the same runs,
    or runs of the same cases with an answer fed in (their `target`). queries: {"correct", "failing": {"tokens",
    "label"}, "alignment": {…} (its kind alone in rows of earlier versions), "regions": […], "neutral": [runs]}.
    """

    __tablename__ = "comparisons"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Text, unique=True)
    correct_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    failing_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    asked_correct_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    asked_failing_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    target: Mapped[str | None] = mapped_column(Words)
    picture: Mapped[int]
    normalisation: Mapped[str] = mapped_column(Text)
    queries: Mapped[dict[str, Any]]
    numbers: Mapped[dict[str, Any]]
    created: Mapped[str] = mapped_column(Text)


class ScoreRow(Base):
    """How one run's maps lay on one region, as the region was then; the numbers lie in a file."""

    __tablename__ = "scores"
    __table_args__ = (UniqueConstraint("key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Text)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    record: Mapped[dict[str, Any]]
    masks: Mapped[str | None] = mapped_column(ForeignKey("files.name"), index=True)
    picture: Mapped[int]
    query: Mapped[dict[str, Any]]
    normalisation: Mapped[str] = mapped_column(Text)
    values: Mapped[str] = mapped_column(ForeignKey("files.name"), index=True)
    created: Mapped[str] = mapped_column(Text)


REFERENCES = (PictureRow.file, RunRow.trace, RegionRow.masks, ScoreRow.masks, ScoreRow.values)
"""Every column that names a file."""
