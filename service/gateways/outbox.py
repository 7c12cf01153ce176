"""The mailer that keeps mails in the database, to be read at /dev/outbox: for demonstrations and tests."""

from collections.abc import Callable

from service.db.base import new_id
from service.db.outbox_mail import OutboxMail
from service.db.session import Database
from service.db.upsert import dialect_insert
from service.domain.ports import Clock, Letter, Mail, MailWithheld
from service.gateways.letters import LetterWriter

KEPT = "250 kept in the outbox"


class OutboxMailer:
    """Keeps each mail once, by its Message-ID."""

    def __init__(self, database: Database, writer: LetterWriter, clock: Clock) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock

    def write(self, letter: Letter) -> Mail:
        """Return the letter as the mail that `smtp` would send."""
        return self._writer.write(letter)

    def open(self) -> None:
        """Have nothing to open; the database says by itself when it is away."""

    def send(self, mail: Mail, *, may_leave: Callable[[], bool] = lambda: True) -> str:
        """Keep the mail, unless it may not leave, and answer as a server would.

        Raises:
            MailWithheld: it may not.
        """
        if not may_leave():
            raise MailWithheld("it was not to leave after all")
        with self._database.transaction() as session:
            session.execute(
                dialect_insert(session, OutboxMail)
                .values(
                    id=new_id(),
                    message_id=mail.message_id,
                    recipient_hash=self._database.keyring.lookup_hash(mail.recipient),
                    message=mail.content.decode(),
                    sent_at=self._clock(),
                )
                .on_conflict_do_nothing(index_elements=[OutboxMail.message_id])
            )
        return KEPT

    def close(self) -> None:
        """Hold nothing open."""
