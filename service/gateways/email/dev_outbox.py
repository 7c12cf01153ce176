"""The mailer that keeps mails in the database, to be read at /dev/outbox: for demonstrations and tests."""

from collections.abc import Callable

from service.db.base import new_id
from service.db.models.email import DevOutboxEmail
from service.db.session import Database
from service.db.upsert import dialect_insert
from service.domain.ports import Clock, Email, RenderedEmail, SendCancelled
from service.gateways.email.renderer import EmailRenderer

ACCEPTED_REPLY = "250 kept in the outbox"


class DevOutboxMailer:
    """Keeps each mail once, by its Message-ID."""

    def __init__(self, database: Database, writer: EmailRenderer, clock: Clock) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock

    def render(self, email: Email) -> RenderedEmail:
        """Return the letter as the mail that `smtp` would send."""
        return self._writer.render(email)

    def connect(self) -> None:
        """Have nothing to open; the database says by itself when it is away."""

    def send(self, mail: RenderedEmail, *, before_data: Callable[[], bool] = lambda: True) -> str:
        """Keep the mail, unless it may not leave, and answer as a server would.

        Raises:
            SendCancelled: it may not.
        """
        if not before_data():
            raise SendCancelled("it was not to leave after all")
        with self._database.transaction() as session:
            session.execute(
                dialect_insert(session, DevOutboxEmail)
                .values(
                    id=new_id(),
                    message_id=mail.message_id,
                    recipient_hash=self._database.keyring.lookup_hash(mail.recipient),
                    message=mail.content.decode(),
                    sent_at=self._clock(),
                )
                .on_conflict_do_nothing(index_elements=[DevOutboxEmail.message_id])
            )
        return ACCEPTED_REPLY

    def close(self) -> None:
        """Hold nothing open."""
