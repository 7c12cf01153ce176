"""/readyz and /metrics report the emails that are due, reminders among them or not."""

import datetime
import threading

import pytest
from flask.testing import FlaskClient

from jobs.job_runs import JobRunRecorder
from jobs.schedule import Job
from jobs.worker import run_job
from schemas.enums import EmailKind
from service.container import Container
from service.domain.monitoring.summary import record_heartbeat
from service.domain.ports import NotificationEmail, PermanentFailure, ServerMisconfigured
from service.settings import Settings
from tests.clock import FakeClock
from tests.conftest import LOCAL_URL, settings_for
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.notifications import enqueue, run


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    return settings_for(migrated_database, PUBLIC_URL=LOCAL_URL)


def checks(client: FlaskClient, container: Container) -> dict[str, str]:
    """Return the failing checks while a worker is alive."""
    with container.database.transaction() as session:
        record_heartbeat(session, worker=container.worker_id, now=container.clock())
    return {name: result for name, result in client.get("/readyz").json["checks"].items() if result != "ok"}


def sample(client: FlaskClient, name: str) -> float:
    [line] = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(line.rpartition(" ")[2])


def test_readyz_reports_notification_backlog_over_an_hour(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    enqueue(container, EmailKind.RECEIPT)
    clock.advance(hours=1)
    assert checks(client, container) == {}
    clock.advance(minutes=1)
    assert checks(client, container) == {
        "emails": "the oldest due email has waited 61 minutes; is a worker sending? see mainstay jobs"
    }
    assert (
        sample(client, "mainstay_emails_oldest_due_age_seconds") == datetime.timedelta(minutes=61).total_seconds()
    )
    run(container, FakeMailer())
    assert checks(client, container) == {}
    assert sample(client, "mainstay_emails_oldest_due_age_seconds") == 0


@pytest.mark.parametrize("job", ["send_emails", "send_urgent_emails"])
def test_readyz_reports_mail_server_that_rejects_notifications(
    client: FlaskClient, container: Container, job: str
) -> None:
    enqueue(container, EmailKind.RECEIPT)

    def refuse(_container: Container, _stop: threading.Event) -> dict[str, int]:
        raise ServerMisconfigured("login refused (535)")

    run_job(Job(job, refuse, 2), container, JobRunRecorder(container), threading.Event())
    assert checks(client, container) == {"mail": "the mail server refuses us; check MAIL_URL"}


@pytest.mark.parametrize(("refused", "status"), [(False, "sent"), (True, "failed")])
def test_metrics_count_notifications_by_status(
    client: FlaskClient, container: Container, refused: bool, status: str
) -> None:
    def response(_: NotificationEmail) -> None:
        if refused:
            raise PermanentFailure("refused (550)")

    enqueue(container, EmailKind.RECEIPT)
    run(container, FakeMailer(response))
    assert sample(client, f'mainstay_emails{{status="{status}"}}') == 1
    assert sample(client, f'mainstay_mails_total{{outcome="{status}"}}') == 1
