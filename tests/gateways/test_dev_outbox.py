"""The development mailer, which stores emails instead of sending them."""

from sqlalchemy import select

from service.container import Container
from service.db.clock import utc_now
from service.db.models.email import DevOutboxEmail
from service.gateways.email.dev_outbox import DevOutboxMailer
from service.gateways.email.renderer import EmailRenderer
from tests.gateways.emails import reminder_email, send


def outbox(container: Container) -> DevOutboxMailer:
    return DevOutboxMailer(
        container.database, EmailRenderer("The Paper <support@paper.example>", utc_now), utc_now
    )


def test_email_is_stored_once_by_message_id(container: Container) -> None:
    mailer = outbox(container)
    mailer.connect()
    for _ in range(3):
        assert send(mailer) == "250 kept in the outbox"
    send(mailer, message_id="<other@desk.test>")
    mailer.close()
    with container.database.read_only() as session:
        stored = session.scalars(select(DevOutboxEmail.message_id).order_by(DevOutboxEmail.id)).all()
    assert stored == ["<reminder-1-1@desk.test>", "<other@desk.test>"]


def test_stored_email_is_the_whole_message(container: Container) -> None:
    mailer = outbox(container)
    mail = mailer.render(reminder_email(to="jürgen@news.example", lang="ru"))
    mailer.send(mail)
    with container.database.read_only() as session:
        assert session.scalars(select(DevOutboxEmail.message)).one().encode() == mail.content
