"""Sign-in links: created with the email, a new one for each attempt, and none that is useless."""

import datetime

import pytest
from sqlalchemy import select, update

from schemas.enums import EmailKind
from service.container import Container
from service.db.keyring import sha256
from service.db.models.email import OutgoingEmail
from service.db.models.sign_in import SignIn
from service.domain.ports import NotificationEmail, UncertainDelivery
from tests.clock import FakeClock
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.notifications import enqueue, find, run


def test_sign_in_link_is_created_with_the_email_and_stored_as_a_hash(
    container: Container, clock: FakeClock
) -> None:
    enqueue(container, EmailKind.SIGN_IN)
    mailer = FakeMailer()
    run(container, mailer)
    [email] = mailer.sent
    token = email.page_url.removeprefix("http://desk.test/me/enter/")
    assert len(token) == 43
    with container.database.read_only() as session:
        sign_in = session.scalars(select(SignIn)).one()
    assert sign_in.link_hash == sha256(token)
    assert sign_in.link_expires_at == clock() + datetime.timedelta(minutes=15)
    assert token not in repr(email)


def test_each_attempt_creates_a_new_sign_in_link_that_replaces_the_last(
    container: Container, clock: FakeClock
) -> None:
    enqueue(container, EmailKind.SIGN_IN)
    emails: list[NotificationEmail] = []

    def lose_reply_once(email: NotificationEmail) -> None:
        emails.append(email)
        if len(emails) == 1:
            raise UncertainDelivery("connection lost")

    run(container, FakeMailer(lose_reply_once))
    with container.database.transaction() as session:
        session.execute(update(OutgoingEmail).values(due_at=clock()))
    run(container, FakeMailer(lose_reply_once))
    first, second = emails
    assert first.message_id != second.message_id
    with container.database.read_only() as session:
        assert session.scalars(select(SignIn.link_hash)).one() == sha256(second.page_url.rpartition("/")[2])


@pytest.mark.parametrize(
    ("minutes", "values", "reason"),
    [(15, {}, "too_old"), (0, {"supporter_id": None}, "nobody_known"), (0, {"used_at": True}, "used")],
)
def test_useless_sign_in_link_is_skipped(
    container: Container, clock: FakeClock, minutes: int, values: dict, reason: str
) -> None:
    notification_id = enqueue(container, EmailKind.SIGN_IN)
    with container.database.transaction() as session:
        set_to = {name: clock() if value is True else value for name, value in values.items()}
        session.execute(update(SignIn).values(set_to or {"asked_at": clock()}))
        if "supporter_id" in values:
            session.execute(update(OutgoingEmail).values(supporter_id=None))
    clock.advance(minutes=minutes)
    run(container, FakeMailer())
    assert (find(container, notification_id).status, find(container, notification_id).reason) == (
        "skipped",
        reason,
    )
    with container.database.read_only() as session:
        assert session.scalars(select(SignIn.link_hash)).one() is None


def test_sign_in_link_is_sent_until_its_request_expires(container: Container, clock: FakeClock) -> None:
    notification_id = enqueue(container, EmailKind.SIGN_IN)
    clock.now += datetime.timedelta(minutes=15) - datetime.timedelta(microseconds=1)
    run(container, FakeMailer())
    assert find(container, notification_id).status == "sent"
