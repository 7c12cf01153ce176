"""Heartbeats of the workers, and the runs of their jobs."""

import datetime
import uuid
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from schemas.enums import JobOutcome
from service.db.base import Base, UUIDPrimaryKey
from service.db.types import StringEnum, enum_check


class Heartbeat(Base):
    """When a worker was last alive; `worker_id` is the hexadecimal form of its UUID.

    `clock_skew_seconds` is by how much its machine's clock is ahead of the database's, by which it goes.
    """

    __tablename__ = "heartbeats"

    worker_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[datetime.datetime]
    clock_skew_seconds: Mapped[int] = mapped_column(default=0, server_default="0")


class JobRun(UUIDPrimaryKey, Base):
    """One run of one job: `counts` of what it did and the class of the `error` that ended it, nothing personal."""

    __tablename__ = "job_runs"
    __table_args__ = (
        enum_check("outcome", JobOutcome, name="outcome_known"),
        Index("ix_job_runs_started_at", "started_at"),
    )

    job: Mapped[str] = mapped_column(String(64))
    worker: Mapped[uuid.UUID]
    started_at: Mapped[datetime.datetime]
    ended_at: Mapped[datetime.datetime | None]
    outcome: Mapped[JobOutcome] = mapped_column(StringEnum(JobOutcome))
    counts: Mapped[dict[str, Any]]
    error: Mapped[str | None] = mapped_column(String(128))
