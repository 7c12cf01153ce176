"""Emails under a key that a worker lacks wait for a worker that has it; with wrong keys everywhere, all wait."""

import datetime
import itertools
import threading
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from structlog.testing import capture_logs

from jobs.job_runs import JobRunRecorder
from jobs.schedule import JOBS
from jobs.worker import run_job
from schemas.enums import EmailKind, EmailStatus, ReminderStatus
from service.app import create_app
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.key_canary import KeyCanary
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.domain.email.queue import FIRST_KEY_WAIT, NEXT_KEY_WAIT, UNREADABLE
from service.domain.privacy.key_canary import WRONG_KEYS, has_right_keys, store_canary
from service.domain.privacy.key_rotation import rotate_keys
from service.domain.reminders.queue import enqueue_due_reminders
from tests.cli import assert_cli_error, run_cli
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.db.conftest import MakeContainer
from tests.db.factories import create_reminder
from tests.jobs import notifications
from tests.jobs.fake_mailer import FakeMailer, run_send_reminders, with_mailer

OLD = "the-old-key-of-this-newsroom-0123456789abcdef"
NEW = "the-new-key-of-this-newsroom-0123456789abcdef"
WRONG = "a-key-from-another-newsroom-0123456789abcdef00"
MONTH = datetime.timedelta(days=32)


class Deployment:
    """Containers on one database, each with its own SECRET_KEYS."""

    def __init__(self, url: str, make_container: MakeContainer, clock: FakeClock) -> None:
        self.url, self._make, self.clock = url, make_container, clock

    def process(self, *keys: str) -> Container:
        return self._make(settings_for(self.url, SECRET_KEYS=",".join(keys)))

    def statuses(self) -> list[ReminderStatus]:
        with self.process(OLD).database.read_only() as session:
            return list(session.scalars(select(Reminder.status)))

    def emails(self) -> list[OutgoingEmail]:
        with self.process(OLD).database.read_only() as session:
            return list(session.scalars(select(OutgoingEmail)))


@pytest.fixture
def deployment(url: str, make_container: MakeContainer, clock: FakeClock) -> Deployment:
    deployment = Deployment(url, make_container, clock)
    with deployment.process(OLD).database.transaction() as session:
        # `mainstay migrate` has stored one under the tests' own key.
        session.execute(delete(KeyCanary))
    return deployment


def run(container: Container, mailer: FakeMailer) -> None:
    """Run the jobs that send emails as the worker does."""
    for name in ("enqueue_reminders", "send_urgent_emails", "send_emails"):
        [job] = [job for job in JOBS if job.name == name]
        run_job(job, with_mailer(container, mailer), JobRunRecorder(container), threading.Event())


def test_reminder_under_a_new_key_waits_for_a_worker_that_has_it(deployment: Deployment) -> None:
    old, new = deployment.process(OLD), deployment.process(NEW, OLD)
    create_reminder(new, "reader@news.example")
    deployment.clock.now += MONTH
    mailer = FakeMailer()
    for wait in (FIRST_KEY_WAIT, NEXT_KEY_WAIT, NEXT_KEY_WAIT):
        assert run_send_reminders(old, mailer)["waiting"] == 1
        [email] = deployment.emails()
        assert (email.status, email.reason, email.attempts) == (EmailStatus.SCHEDULED, UNREADABLE, 0)
        assert email.due_at == deployment.clock() + wait
        with old.database.read_only() as session:
            # However long it waits, its history does not grow.
            events = select(ReminderStatusChange.event).order_by(ReminderStatusChange.id)
            assert session.scalars(events).all() == ["made", "enqueue"]
        deployment.clock.now += wait
    assert mailer.sent == []
    assert run_send_reminders(new, mailer)["sent"] == 1
    assert deployment.statuses() == [ReminderStatus.SENT]
    assert [(email.status, email.reason) for email in deployment.emails()] == [(EmailStatus.SENT, None)]


def test_reminders_that_can_be_read_are_sent_beside_those_that_wait(deployment: Deployment) -> None:
    old, new = deployment.process(OLD), deployment.process(NEW, OLD)
    for number in range(3):
        create_reminder(new, f"new-{number}@news.example")
        create_reminder(old, f"old-{number}@news.example")
    deployment.clock.now += MONTH
    mailer = FakeMailer()
    counts = run_send_reminders(old, mailer)
    assert (counts["sent"], counts["waiting"]) == (3, 3)
    assert all(address.startswith("old") for address in mailer.addresses)


@pytest.mark.parametrize("kind", [EmailKind.RECEIPT, EmailKind.SIGN_IN])
def test_notification_under_a_new_key_waits_for_a_worker_that_has_it(
    deployment: Deployment, kind: EmailKind
) -> None:
    old, new = deployment.process(OLD), deployment.process(NEW, OLD)
    notification_id = notifications.enqueue(new, kind)
    mailer = FakeMailer()
    for wait in (FIRST_KEY_WAIT, NEXT_KEY_WAIT):
        assert notifications.run(old, mailer)["waiting"] == 1
        waiting = notifications.find(old, notification_id)
        assert (waiting.status, waiting.reason) == (EmailStatus.SCHEDULED, UNREADABLE)
        assert waiting.due_at == deployment.clock() + wait
        assert waiting.attempts == 0
        deployment.clock.now += wait
    assert mailer.sent == []
    assert notifications.run(new, mailer)["sent"] == 1
    assert notifications.find(new, notification_id).status == EmailStatus.SENT


def test_readiness_tells_how_many_emails_wait_for_a_key(deployment: Deployment) -> None:
    old, new = deployment.process(OLD), deployment.process(NEW, OLD)
    client: FlaskClient = create_app(old).test_client()
    assert "keys" not in client.get("/readyz").get_json(force=True).get("attention", {})
    create_reminder(new, "reader@news.example")
    notifications.enqueue(new, EmailKind.RECEIPT, to="giver@news.example")
    deployment.clock.now += MONTH
    run_send_reminders(old, FakeMailer())
    notifications.run(old, FakeMailer())
    answer = client.get("/readyz").get_json(force=True)
    assert answer["attention"]["keys"].startswith("2 emails wait for a key")


def test_worker_with_wrong_keys_claims_nothing_until_the_canary_opens(deployment: Deployment) -> None:
    right, wrong = deployment.process(OLD), deployment.process(WRONG)
    for number in range(3):
        create_reminder(right, f"reader-{number}@news.example")
    assert right.key_check.passes()
    deployment.clock.now += MONTH
    # One is in the outbox already.
    with right.database.transaction() as session:
        enqueue_due_reminders(session, now=deployment.clock(), respect_sending_hours=False, limit=1)
    notifications.enqueue(right, EmailKind.RECEIPT, to="giver@news.example")
    mailer = FakeMailer()
    with capture_logs() as lines:
        for _ in range(3):
            run(wrong, mailer)
    # It is said once, and not at every run.
    assert [line["event"] for line in lines if line["event"] == "keys_do_not_open"] == ["keys_do_not_open"]
    assert sorted(deployment.statuses()) == ["scheduled", "scheduled", "sending"]
    assert {(email.status, email.reason, email.lease_number) for email in deployment.emails()} == {
        (EmailStatus.SCHEDULED, None, 0)
    }
    run(right, mailer)
    assert len(mailer.sent) == 4


def test_every_job_that_reads_or_writes_under_a_key_waits_for_the_right_one() -> None:
    assert {job.name for job in JOBS if not job.needs_keys} == {
        "beat",
        "recover_emails",
        "note_vanished_workers",
        "expire_pledges",
        "purge_event_payloads",
        "purge_idempotency_keys",
        "purge_job_runs",
        "purge_images",
        "purge_notifications",
        "purge_reader_data",
    }


def test_readiness_reports_wrong_keys_and_serve_refuses_to_start(deployment: Deployment) -> None:
    right, wrong = deployment.process(OLD), deployment.process(WRONG)
    assert right.key_check.passes()
    assert create_app(right).test_client().get("/readyz").get_json(force=True)["checks"]["keys"] == "ok"
    response = create_app(wrong).test_client().get("/readyz")
    assert response.status_code == 503
    assert response.get_json(force=True)["checks"]["keys"] == WRONG_KEYS
    assert_cli_error(run_cli("serve", DATABASE_URL=deployment.url, SECRET_KEYS=WRONG), WRONG_KEYS)


def test_database_of_an_earlier_release_gets_a_canary_only_from_the_right_keys(deployment: Deployment) -> None:
    right, wrong = deployment.process(OLD), deployment.process(WRONG)
    create_reminder(right, "reader@news.example")
    assert not wrong.key_check.passes()
    with right.database.read_only() as session:
        assert session.get(KeyCanary, 1) is None
    assert right.key_check.passes()
    assert not wrong.key_check.passes()


def test_empty_database_takes_the_first_keys(deployment: Deployment) -> None:
    assert deployment.process(OLD).key_check.passes()
    assert not deployment.process(WRONG).key_check.passes()
    assert deployment.process(WRONG, OLD).key_check.passes()


def test_documented_rotation_never_closes_the_canary(deployment: Deployment) -> None:
    orders = ((OLD,), (OLD, NEW), (NEW, OLD))
    for before, after in itertools.pairwise(orders):
        assert deployment.process(*before).key_check.passes()
        assert deployment.process(*after).key_check.passes()
    both = deployment.process(NEW, OLD)
    rotate_keys(both.database.transaction, clock=both.clock)
    assert deployment.process(NEW).key_check.passes()
    assert deployment.process(NEW, OLD).key_check.passes()
    assert not deployment.process(OLD).key_check.passes()


def test_rotation_with_wrong_keys_leaves_the_canary(deployment: Deployment) -> None:
    right, wrong = deployment.process(OLD), deployment.process(WRONG)
    with right.database.transaction() as session:
        store_canary(session)
    rotate_keys(wrong.database.transaction, clock=wrong.clock)
    with right.database.read_only() as session:
        assert has_right_keys(session)


def test_checkout_under_a_new_key_is_found_by_processes_that_know_it(deployment: Deployment) -> None:
    first, second = create_app(deployment.process(OLD, NEW)), create_app(deployment.process(NEW, OLD))
    pledge = {"campaign": "default", "frequency": "once", "amount": 500, "currency": "USD"}
    for creates, shows in ((first, second), (second, first)):
        headers = {"Idempotency-Key": f"key-{id(creates)}"}
        created = creates.test_client().post("/v1/pledges", json=pledge, headers=headers)
        assert created.status_code == 201
        path = urlsplit(created.json["checkout_url"]).path
        assert shows.test_client().get(path).status_code == 200
