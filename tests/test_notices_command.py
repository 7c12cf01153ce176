"""`mainstay notices`: the list of failures, and the retry."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from schemas.enums import EmailKind
from service.cli import cli
from service.container import Container
from service.db.clock import utc_now
from service.db.models.admin import AuditEntry
from service.domain.ports import NotificationEmail, PermanentFailure
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.notifications import enqueue, find
from tests.jobs.notifications import run as send

Run = Callable[..., Result]


@pytest.fixture
def run(container: Container) -> Run:
    def run(*arguments: str, typed: str | None = None) -> Result:
        settings = {
            "DATABASE_URL": container.settings.database_url,
            "SECRET_KEYS": ",".join(container.settings.secret_keys),
        }
        return CliRunner().invoke(cli, ["notices", *arguments], env=settings, input=typed)

    return run


@pytest.fixture
def clock():
    """Return the real clock, which the command uses."""
    return utc_now


def fail(container: Container, kind: EmailKind, reason: str):
    def refuse(_: NotificationEmail) -> None:
        raise PermanentFailure(reason)

    notification_id = enqueue(container, kind)
    send(container, FakeMailer(refuse))
    return notification_id


def test_empty_list_is_reported(container: Container, run: Run) -> None:
    enqueue(container, EmailKind.RECEIPT)
    assert run("list").stderr == "No notice has failed.\n"
    result = run("retry")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "No such notice has failed.\n"


def test_failures_are_counted_by_kind_and_reason_without_personal_data(container: Container, run: Run) -> None:
    for _ in range(2):
        fail(container, EmailKind.RECEIPT, "recipient refused (550)")
    fail(container, EmailKind.CANCELLED, "too large (552)")
    assert run("list").stdout == "       2  receipt  recipient refused (550)\n       1  ended  too large (552)\n"
    assert run("list", "--kind", "ended").stdout == "       1  ended  too large (552)\n"


def test_failed_notifications_are_retried_after_confirmation(container: Container, run: Run) -> None:
    receipt, ended = (
        fail(container, EmailKind.RECEIPT, "refused (550)"),
        fail(container, EmailKind.CANCELLED, "too large (552)"),
    )
    assert run("retry", typed="n\n").exit_code == 1
    assert find(container, receipt).status == "failed"
    assert run("retry", "--reason", "refused", "--yes").stdout == "Sent 1 notice back into the queue.\n"
    assert (find(container, receipt).status, find(container, receipt).attempts) == ("scheduled", 0)
    assert find(container, ended).status == "failed"
    post = FakeMailer()
    send(container, post)
    assert len(post.sent) == 1
    assert find(container, receipt).status == "sent"
    with container.database.read_only() as session:
        assert [entry.action for entry in session.scalars(select(AuditEntry))] == ["retry_notices"]


def test_unknown_kind_error_lists_known_kinds(run: Run) -> None:
    result = run("list", "--kind", "bill")
    assert result.exit_code == 2
    assert "sign_in" in result.stderr
