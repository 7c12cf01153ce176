"""A mailer for demonstrations and tests: it stores emails in the database, and /dev/outbox shows them."""

from service.db.base import new_id
from service.db.models.email import DevOutboxEmail
from service.db.session import Database
from service.db.upsert import dialect_insert
from service.domain.email.addresses import fold_address
from service.domain.ports import Clock, Email, RenderedEmail
from service.gateways.email.renderer import EmailRenderer

ACCEPTED_REPLY = "250 kept in the outbox"


class DevOutboxMailer:
    """Stores each email once, by its Message-ID."""

    def __init__(self, database: Database, renderer: EmailRenderer, clock: Clock) -> None:
        self._database = database
        self._renderer = renderer
        self._clock = clock

    def render(self, email: Email) -> RenderedEmail:
        """Render the email exactly as `SmtpMailer` does."""
        return self._renderer.render(email)

    def connect(self) -> None:
        """Do nothing: there is no connection."""

    def prepare(self, message: RenderedEmail) -> None:
        """Do nothing: no email waits for another."""

    def send_ahead(self) -> None:
        """Do nothing: no email waits for another."""

    def send(self, message: RenderedEmail) -> str:
        """Store the email and return a reply like a server's."""
        with self._database.transaction() as session:
            session.execute(
                dialect_insert(session, DevOutboxEmail)
                .values(
                    id=new_id(),
                    message_id=message.message_id,
                    recipient_hash=self._database.keyring.lookup_hash(fold_address(message.recipient)),
                    message=message.content.decode(),
                    sent_at=self._clock(),
                )
                .on_conflict_do_nothing(index_elements=[DevOutboxEmail.message_id])
            )
        return ACCEPTED_REPLY

    def close(self) -> None:
        """Do nothing: there is no connection."""
