"""Liveness, readiness and metrics endpoints for monitoring."""

import datetime
from collections.abc import Callable

from flask import Blueprint, Response, jsonify
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from schemas.enums import Scope
from service.api.auth import authenticate_staff
from service.api.metrics import MetricsCollector
from service.api.problems import problem_response
from service.db.schema import is_up_to_date
from service.domain.email.queue import BACKLOG_ALERT_AFTER, count_waiting_for_key, oldest_due_age
from service.domain.monitoring.job_runs import HEARTBEAT_TIMEOUT, last_finished_run
from service.domain.monitoring.restore_guard import describe_held, find_restore
from service.domain.monitoring.summary import describe_wrong_clocks, last_heartbeat
from service.domain.payments.alerts import describe_disputes_and_warnings
from service.domain.payments.parked import describe_parked
from service.domain.ports import ServerMisconfigured, ServerUnavailable
from service.domain.privacy.erasure import describe_late_erasures
from service.domain.privacy.key_canary import WRONG_KEYS, has_right_keys
from service.domain.reminders.queue import oldest_due_reminder_age
from service.web import current_container, is_local_request, read_only

EMAIL_JOBS = ("send_emails", "send_urgent_emails")
MAIL_SERVER_ERRORS = (ServerMisconfigured.__name__, ServerUnavailable.__name__)
NOT_CHECKED = "unknown (database unavailable)"

health = Blueprint("operations", __name__)


@health.get("/healthz")
def healthz() -> Response:
    """Report that the process is up."""
    return jsonify(status="ok")


@health.get("/readyz")
def readyz() -> Response:
    """Report each check: database, disk, payments, migrations, keys, worker, both queues, and email."""
    checks = {"database": _run_check(_database, on_error="the database does not answer")}
    checks["disk"] = current_container().disk_space.problem() or "ok"
    checks["payments"] = _payments()
    for name, check in (
        ("migrations", _migrations),
        ("keys", _keys),
        ("worker", _worker),
        ("reminders", _reminders),
        ("emails", _emails),
        ("mail", _mail),
    ):
        # Without a database, each check would wait for the connection timeout again.
        checks[name] = _run_check(check, on_error=NOT_CHECKED) if checks["database"] == "ok" else NOT_CHECKED
    failed = [f"{name}: {result}" for name, result in checks.items() if result != "ok"]
    # What waits for staff never makes the service unready.
    attention = _attention() if checks["database"] == "ok" else {}
    if current_container().settings.redis_url is not None:
        checks["redis"] = _redis()
        attention |= {"redis": checks["redis"]} if checks["redis"] != "ok" else {}
    extra = {"checks": checks} | ({"attention": attention} if attention else {})
    if failed:
        return problem_response(503, "not_ready", f"Not ready: {', '.join(failed)}.", extra=extra)
    return jsonify(status="ok", **extra)


def _redis() -> str:
    """Return the state of Redis. Requests are served without it, so it never makes the service unready."""
    problem = current_container().rate_limiter.store_problem()
    return "ok" if problem is None else f"{problem}; until it does, each web process counts requests on its own"


def _attention() -> dict[str, str]:
    """Return what waits for staff, by topic."""
    try:
        with read_only() as session:
            erasures = describe_late_erasures(session, now=current_container().clock())
            disputes = describe_disputes_and_warnings(session)
            waiting = disputes | describe_parked(session) | erasures | _waiting_for_key(session)
            waiting |= describe_held(session)
            waiting |= describe_wrong_clocks(session, now=current_container().clock())
            if _last_mail_error(session) == ServerUnavailable.__name__:
                waiting["mail"] = "the mail server does not answer; emails wait until it does"
    except SQLAlchemyError:
        # An older schema lacks a table; the check of the migrations says so.
        return {}
    problem = current_container().gateway.problem()
    return waiting | ({} if problem is None else {"payments": problem})


def _waiting_for_key(session: Session) -> dict[str, str]:
    now = current_container().clock()
    number = count_waiting_for_key(session, now=now)
    if not number:
        return {}
    noun, verb = ("email", "waits") if number == 1 else ("emails", "wait")
    return {"keys": f"{number} {noun} {verb} for a key that is not in SECRET_KEYS; put it back, behind the others"}


def _run_check(check: Callable[[Session], str], *, on_error: str) -> str:
    try:
        with read_only() as session:
            return check(session)
    except SQLAlchemyError:
        return on_error


def _database(session: Session) -> str:
    session.execute(text("SELECT 1"))
    return "ok"


def _migrations(_session: Session) -> str:
    up_to_date = is_up_to_date(current_container().database.engine)
    return "ok" if up_to_date else "the schema is not current; run mainstay migrate"


def _keys(session: Session) -> str:
    return "ok" if has_right_keys(session) else WRONG_KEYS


def _payments() -> str:
    stripe = current_container().settings.stripe
    if stripe is None or stripe.webhook_secrets:
        return "ok"
    return "events from Stripe are rejected; run mainstay stripe setup and set STRIPE_WEBHOOK_SECRET"


def _worker(session: Session) -> str:
    heartbeat_at = last_heartbeat(session)
    if heartbeat_at is None:
        return "no worker has run yet; start mainstay worker"
    now = current_container().clock()
    age = now - heartbeat_at
    if age < HEARTBEAT_TIMEOUT:
        return "ok"
    refusal = "; workers do not start until you confirm, because the database looks restored: see their log"
    is_refused = find_restore(session, now=now) is not None
    return f"no heartbeat for {int(age.total_seconds())} seconds" + (refusal if is_refused else "")


def _reminders(session: Session) -> str:
    return _check_backlog("reminder", oldest_due_reminder_age(session, now=current_container().clock()))


def _emails(session: Session) -> str:
    return _check_backlog("email", oldest_due_age(session, now=current_container().clock()))


def _check_backlog(noun: str, oldest_age: datetime.timedelta | None) -> str:
    if oldest_age is None or oldest_age <= BACKLOG_ALERT_AFTER:
        return "ok"
    minutes = int(oldest_age.total_seconds() // 60)
    return f"the oldest due {noun} has waited {minutes} minutes; is a worker sending? see mainstay jobs"


def _mail(session: Session) -> str:
    refused = _last_mail_error(session) == ServerMisconfigured.__name__
    return "the mail server refuses us; check MAIL_URL" if refused else "ok"


def _last_mail_error(session: Session) -> str | None:
    # An earlier failure counts only while emails are due: without them, no attempt can show that the server
    # accepts emails again.
    now = current_container().clock()
    if oldest_due_age(session, now=now) is None:
        return None
    for job in EMAIL_JOBS:
        last_run = last_finished_run(session, job)
        if last_run is not None and last_run.error in MAIL_SERVER_ERRORS:
            return last_run.error
    return None


@health.get("/metrics")
def metrics() -> Response:
    """Return metrics as Prometheus text, to local requests and to staff tokens with the scope `read`."""
    if not is_local_request():
        authenticate_staff(Scope.READ)
    registry = CollectorRegistry()
    registry.register(MetricsCollector())
    return Response(generate_latest(registry), content_type="text/plain; version=0.0.4; charset=utf-8")
