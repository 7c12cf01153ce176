"""The mailer that keeps mails instead of sending them."""

import pytest
from sqlalchemy import select

from service.container import Container, utc_now
from service.db.models.email import DevOutboxEmail
from service.domain.ports import SendCancelled
from service.gateways.email.dev_outbox import DevOutboxMailer
from service.gateways.email.renderer import EmailRenderer
from tests.gateways.emails import letter, send


def outbox(container: Container) -> DevOutboxMailer:
    return DevOutboxMailer(
        container.database, EmailRenderer("The Paper <support@paper.example>", utc_now), utc_now
    )


def test_a_mail_is_kept_once_however_often_it_is_sent(container: Container) -> None:
    mailer = outbox(container)
    mailer.connect()
    for _ in range(3):
        assert send(mailer) == "250 kept in the outbox"
    send(mailer, message_id="<other@desk.test>")
    mailer.close()
    with container.database.read_only() as session:
        kept = session.scalars(select(DevOutboxEmail.message_id).order_by(DevOutboxEmail.id)).all()
    assert kept == ["<reminder-1-1@desk.test>", "<other@desk.test>"]


def test_a_mail_that_may_not_leave_after_all_is_not_kept(container: Container) -> None:
    mailer = outbox(container)
    with pytest.raises(SendCancelled):
        mailer.send(mailer.render(letter()), before_data=lambda: False)
    with container.database.read_only() as session:
        assert session.scalars(select(DevOutboxEmail)).all() == []


def test_what_is_kept_is_the_whole_mail_as_it_would_leave(container: Container) -> None:
    mailer = outbox(container)
    mail = mailer.render(letter(to="jürgen@news.example", lang="ru"))
    mailer.send(mail)
    with container.database.read_only() as session:
        assert session.scalars(select(DevOutboxEmail.message)).one().encode() == mail.content
