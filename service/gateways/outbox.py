"""The mailer that keeps mails in the database, to be read at /dev/outbox: for demonstrations and tests."""

from email.message import EmailMessage

from service.db.base import new_id
from service.db.outbox_mail import OutboxMail
from service.db.session import Database
from service.db.upsert import insert_into
from service.domain.ports import Clock, ReminderLetter
from service.gateways.letters import LetterWriter


class OutboxMailer:
    """Keeps each mail once, by its Message-ID."""

    def __init__(self, database: Database, writer: LetterWriter, clock: Clock) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock

    def send(self, letter: ReminderLetter) -> None:
        """Keep the mail that `smtp` would send."""
        message: EmailMessage = self._writer.write(letter)
        with self._database.transaction() as session:
            session.execute(
                insert_into(session, OutboxMail)
                .values(
                    id=new_id(),
                    message_id=letter.message_id,
                    recipient_hash=self._database.keyring.fingerprint(letter.to),
                    message=message.as_string(),
                    sent_at=self._clock(),
                )
                .on_conflict_do_nothing(index_elements=[OutboxMail.message_id])
            )

    def close(self) -> None:
        """Hold nothing open."""
