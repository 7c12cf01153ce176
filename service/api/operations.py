"""Whether the service is well, for machines that watch it."""

import datetime
from collections.abc import Iterator

from flask import Blueprint, Response, jsonify
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from schemas.vocabulary import Scope
from service.api.problems import problem
from service.api.staff_access import require_scope
from service.db.migration import is_current
from service.domain.summary import last_beat, summarise
from service.web import current_desk, is_from_this_machine, reading

WORKER_SILENT_AFTER = datetime.timedelta(seconds=90)

operations = Blueprint("operations", __name__)


@operations.get("/healthz")
def healthz() -> Response:
    """Say that the process is up."""
    return jsonify(status="ok")


@operations.get("/readyz")
def readyz() -> Response:
    """Say whether the database answers, its schema is current and a worker is alive, each by name."""
    checks = {"database": _database(), "migrations": _migrations(), "worker": _worker()}
    failed = [f"{name}: {answer}" for name, answer in checks.items() if answer != "ok"]
    if failed:
        return problem(503, "not_ready", f"Not ready: {', '.join(failed)}.", more={"checks": checks})
    return jsonify(status="ok", checks=checks)


def _database() -> str:
    try:
        with reading() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return "the database does not answer"
    return "ok"


def _migrations() -> str:
    try:
        current = is_current(current_desk().database.engine)
    except SQLAlchemyError:
        return "the database does not answer"
    return "ok" if current else "the schema is not current; run mainstay migrate"


def _worker() -> str:
    try:
        with reading() as session:
            beat = last_beat(session)
    except SQLAlchemyError:
        return "the last heartbeat cannot be read"
    if beat is None:
        return "no worker was ever seen; start mainstay worker"
    age = current_desk().clock() - beat
    return "ok" if age < WORKER_SILENT_AFTER else f"no sign of life for {int(age.total_seconds())} seconds"


@operations.get("/metrics")
def metrics() -> Response:
    """Give the desk's numbers as Prometheus text, to this machine or to a token with the scope `read`."""
    if not is_from_this_machine():
        require_scope(Scope.READ)
    registry = CollectorRegistry()
    registry.register(DeskNumbers())
    return Response(generate_latest(registry), content_type="text/plain; version=0.0.4; charset=utf-8")


class DeskNumbers(Collector):
    """Reads the numbers when they are asked for, so that every process gives the same ones."""

    def collect(self) -> Iterator[Metric]:
        """Yield each number as a gauge."""
        now = current_desk().clock()
        with reading() as session:
            summary, beat = summarise(session, now=now), last_beat(session)
        for things in ("pledges", "reminders"):
            gauge = GaugeMetricFamily(f"mainstay_{things}", f"How many {things} stand where.", labels=["status"])
            for status, count in summary[things].items():
                gauge.add_metric([status], count)
            yield gauge
        yield GaugeMetricFamily(
            "mainstay_reminders_due", "Reminders that wait to be sent now.", value=summary["reminders_due"]
        )
        if beat is not None:
            yield GaugeMetricFamily(
                "mainstay_worker_heartbeat_age_seconds",
                "Time since a worker was last seen alive.",
                value=(now - beat).total_seconds(),
            )
