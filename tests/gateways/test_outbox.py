"""The mailer that keeps mails instead of sending them."""

from sqlalchemy import select

from service.db.outbox_mail import OutboxMail
from service.desk import Desk
from tests.gateways.letters import letter


def test_a_mail_is_kept_once_however_often_it_is_sent(desk: Desk) -> None:
    for _ in range(3):
        desk.mailer.send(letter())
    desk.mailer.send(letter(message_id="<other@desk.test>"))
    with desk.database.reading() as session:
        kept = session.scalars(select(OutboxMail.message_id).order_by(OutboxMail.id)).all()
    assert kept == ["<reminder-1-1@desk.test>", "<other@desk.test>"]
