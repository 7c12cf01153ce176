"""Rotating keys process by process, with real workers and web processes."""

import json
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select, update

from schemas.enums import EmailStatus
from service.bootstrap import build_container
from service.container import Container
from service.db.clock import utc_now
from service.db.models.email import OutgoingEmail
from service.domain.email.rendering import UNREADABLE
from tests.conftest import settings_for
from tests.faults.dataset import addresses, email_counts, fill, is_idle, status_counts
from tests.faults.scale import SCALE
from tests.faults.smtp_sink import SmtpSinkProcess
from tests.processes import KEYS as OLD
from tests.processes import wait_until, web, worker

NEW = "the-new-key-of-this-newsroom-0123456789abcdef"
WRONG = "a-key-from-another-newsroom-0123456789abcdef00"
DUE = 20
PLEDGE = {"campaign": "default", "frequency": "once", "amount": 500, "currency": "USD"}


@pytest.fixture
def under_new_key(container: Container) -> Container:
    """Return a container whose key is new, on the same database, which knows the old one."""
    assert container.key_check.passes()
    return build_container(settings_for(container.settings.database_url, SECRET_KEYS=f"{NEW},{OLD}"))


def make_waiting_due(container: Container) -> None:
    with container.database.transaction() as session:
        waiting = OutgoingEmail.reason == UNREADABLE, OutgoingEmail.status == EmailStatus.SCHEDULED
        session.execute(update(OutgoingEmail).where(*waiting).values(due_at=utc_now()))


def test_old_and_new_workers_side_by_side_send_every_email(
    container: Container, under_new_key: Container, url: str, sink: SmtpSinkProcess, tmp_path: Path
) -> None:
    fill(under_new_key, DUE)
    settings = {"SENDING_HOURS": "any", "MAIL_URL": sink.url_for("worker")}
    with worker(url, tmp_path / "old", SECRET_KEYS=OLD, **settings):
        # The worker with the old key alone meets them first, and fails none.
        wait_until(
            lambda: _reasons(container) == {UNREADABLE}, what="the old worker to meet every email of the new key"
        )
        assert email_counts(container) == {"scheduled": DUE}
        make_waiting_due(container)
        with worker(url, tmp_path / "new", SECRET_KEYS=f"{NEW},{OLD}", **settings):

            def all_sent() -> bool:
                make_waiting_due(container)
                return status_counts(container) == {"sent": DUE}

            wait_until(all_sent, what="every email to be sent", seconds=SCALE.max_wait_seconds)
    report = sink.report()
    assert set(report.copies) == addresses(DUE)
    assert report.duplicates == 0


def _reasons(container: Container) -> set[str | None]:
    with container.database.read_only() as session:
        return set(session.scalars(select(OutgoingEmail.reason)))


def test_wrong_key_everywhere_sends_nothing_and_loses_nothing(
    container: Container, url: str, sink: SmtpSinkProcess, tmp_path: Path
) -> None:
    assert container.key_check.passes()
    fill(container, DUE)
    settings = {"SENDING_HOURS": "any", "MAIL_URL": sink.url_for("worker")}
    log = tmp_path / "wrong"
    with ExitStack() as stack:
        stack.enter_context(worker(url, log, SECRET_KEYS=WRONG, **settings))
        base = stack.enter_context(web(url, tmp_path / "web", SECRET_KEYS=WRONG))
        wait_until(lambda: "keys_do_not_open" in log.read_text(), what="the worker to say that its key is wrong")
        # Longer than the interval of the jobs that send.
        time.sleep(6)
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{base}/readyz", timeout=30)
        assert "SECRET_KEYS" in json.load(error.value)["checks"]["keys"]
        assert log.read_text().count("keys_do_not_open") == 1
    assert status_counts(container) == {"scheduled": DUE}
    assert sink.accepted == 0
    with worker(url, tmp_path / "right", SECRET_KEYS=OLD, **settings):
        wait_until(lambda: is_idle(container), what="every email to be sent", seconds=SCALE.max_wait_seconds)
    assert status_counts(container) == {"sent": DUE}
    assert set(sink.report().copies) == addresses(DUE)


def test_checkout_signed_by_the_new_key_opens_on_a_web_process_that_signs_with_the_old(
    url: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(web(url, tmp_path / "first", SECRET_KEYS=f"{OLD},{NEW}"))
        second = stack.enter_context(web(url, tmp_path / "second", SECRET_KEYS=f"{NEW},{OLD}"))
        for number, (creates, shows) in enumerate([(first, second), (second, first)]):
            request = urllib.request.Request(
                f"{creates}/v1/pledges",
                json.dumps(PLEDGE).encode(),
                {"Content-Type": "application/json", "Idempotency-Key": f"rotation-{number}"},
            )
            with urllib.request.urlopen(request, timeout=30) as response:
                checkout = urlsplit(json.load(response)["checkout_url"])
            with urllib.request.urlopen(f"{shows}{checkout.path}", timeout=30) as response:
                assert response.status == 200
