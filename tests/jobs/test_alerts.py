"""Alerts: emails to the staff named in ALERT_EMAIL."""

import dataclasses
import datetime
import email
from email.message import EmailMessage
from email.policy import default

import pytest
from sqlalchemy import select

from schemas.enums import EmailKind, EmailStatus
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.domain.email.outbox import enqueue_alert
from service.gateways.email.renderer import EmailRenderer
from tests.clock import FakeClock
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.notifications import run

SUBJECT = "2 payments fit no pledge"
BODY = "They are parked.\n\nRun mainstay stripe events --status parked."


def alert(container: Container, topic: str = "parked") -> bool:
    with container.database.transaction() as session:
        return enqueue_alert(session, topic, subject=SUBJECT, body=BODY, now=container.clock())


def with_recipients(container: Container, *recipients: str) -> Container:
    mail = dataclasses.replace(container.settings.mail, alert_recipients=recipients)
    return dataclasses.replace(container, settings=dataclasses.replace(container.settings, mail=mail))


def reasons(container: Container) -> list[tuple[EmailStatus, str | None]]:
    with container.database.read_only() as session:
        rows = session.scalars(select(OutgoingEmail).where(OutgoingEmail.kind == EmailKind.ALERT))
        return [(row.status, row.reason) for row in rows]


@pytest.mark.parametrize("fixture", ["container", "sqlite_container"])
def test_alert_is_sent_once_a_day_to_each_recipient(
    fixture: str, request: pytest.FixtureRequest, clock: FakeClock
) -> None:
    container = with_recipients(request.getfixturevalue(fixture), "ada@paper.example", "ben@paper.example")
    mailer = FakeMailer()
    assert alert(container)
    assert not alert(container)
    assert alert(container, "disputes")
    run(container, mailer)
    run(container, mailer)
    assert sorted(sent.to for sent in mailer.sent) == ["ada@paper.example"] * 2 + ["ben@paper.example"] * 2
    assert len({sent.message_id for sent in mailer.sent}) == 4
    clock.now += datetime.timedelta(days=1)
    assert alert(container)
    run(container, mailer)
    run(container, mailer)
    assert len(mailer.sent) == 6


def test_alert_without_recipient_is_skipped_with_a_reason(container: Container) -> None:
    mailer = FakeMailer()
    alert(container)
    run(container, mailer)
    assert mailer.sent == []
    assert reasons(container) == [(EmailStatus.SKIPPED, "no_alert_email")]


def test_alert_goes_to_the_recipient_of_the_time_of_sending(container: Container) -> None:
    mailer = FakeMailer()
    alert(container)
    run(with_recipients(container, "new@paper.example"), mailer)
    assert [sent.to for sent in mailer.sent] == ["new@paper.example"]


def test_alert_says_what_happened_and_what_to_do(container: Container) -> None:
    mailer = FakeMailer()
    alert(container)
    run(with_recipients(container, "ada@paper.example"), mailer)
    rendered = EmailRenderer("The Paper <support@paper.example>", container.clock).render(mailer.sent[0])
    message = email.message_from_bytes(rendered.content, policy=default)
    assert isinstance(message, EmailMessage)
    assert (message["To"], message["Subject"]) == ("ada@paper.example", SUBJECT)
    text = message.get_body(("plain",)).get_content()
    assert (
        text.replace("\r\n", "\n") == f"{BODY}\n\nSent by Mainstay at desk.test, because ALERT_EMAIL names you.\n"
    )
    assert "<p>They are parked.</p>" in message.get_body(("html",)).get_content()
