"""A mailer that sends over SMTP and reuses one connection for many emails."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from service.domain.ports import (
    Email,
    EmailError,
    PermanentFailure,
    RenderedEmail,
    ServerMisconfigured,
    ServerUnavailable,
    UncertainDelivery,
)
from service.gateways.email.renderer import EmailRenderer
from service.gateways.email.smtp_connection import PendingReply, SmtpConnection
from service.gateways.email.smtp_handshake import Exchange
from service.gateways.email.smtp_refusals import ConnectRefusals
from service.gateways.email.smtp_replies import SERVICE_CLOSING, SmtpReply, Step, error_from_reply
from service.mail_settings import SmtpServer

# A server that ends the connection each time an envelope was sent ahead gets none any more.
MAX_LOST_IN_A_ROW = 2


class SmtpMailer:
    """Sends emails through the configured server (RFC 5321).

    If the server takes several commands in one write (PIPELINING, RFC 2920), MAIL and RCPT are one write, and
    those of the email that `prepare` named leave with the end of the one before. Without that, its MAIL leaves as
    soon as the one before is accepted, and its RCPT in `send_ahead`. DATA is always sent alone.

    | what happens | error |
    |---|---|
    | cannot connect, connection lost before the whole email was sent, service closing (421) | ServerUnavailable |
    | login, certificate or sender refused; before MAIL, the third refusal in a row | ServerMisconfigured |
    | recipient or message refused for now (4xx) | TemporaryFailure |
    | recipient or message refused permanently (5xx) | PermanentFailure |
    | connection lost after the whole email was sent, and before the reply | UncertainDelivery |
    """

    def __init__(
        self,
        server: SmtpServer,
        renderer: EmailRenderer,
        *,
        per_connection: int,
        on_connect: Callable[[bool], None] = lambda _: None,
        refusals: ConnectRefusals | None = None,
        on_exchange: Callable[[Exchange], None] = lambda _: None,
    ) -> None:
        """Create a mailer. `on_connect` gets whether the server offers SMTPUTF8, for each new connection.

        All mailers of a process share `refusals`. `on_exchange` gets all that is said, which must reach no log.
        """
        self._server = server
        self._renderer = renderer
        self._per_connection = per_connection
        self._on_connect = on_connect
        self._refusals = refusals or ConnectRefusals()
        self._on_exchange = on_exchange
        self._connection: SmtpConnection | None = None
        # The email after the next, and the envelope that was sent ahead.
        self._following: RenderedEmail | None = None
        self._prepared: _Envelope | None = None
        self._lost_in_a_row = 0
        self._reset_reply: PendingReply | None = None
        self._context: ssl.SSLContext | None = None

    def render(self, email: Email) -> RenderedEmail:
        """Render an email. Any exception is about this email alone."""
        return self._renderer.render(email)

    def connect(self) -> None:
        """Connect, or check with NOOP that an open connection still works.

        Raises:
            ServerUnavailable, ServerMisconfigured: the server cannot be used.
        """
        if self._connection is not None:
            try:
                if self._connection.command("NOOP").in_class(2) and self._was_reset():
                    return
            except ServerUnavailable:
                pass
            self._drop()
        self._connect_if_needed()

    def prepare(self, message: RenderedEmail) -> None:
        """Name the email that follows the next one, so that its envelope leaves ahead; see `Mailer.prepare`."""
        self._following = message

    def send_ahead(self) -> None:
        """Send RCPT of the email whose MAIL was sent ahead, if MAIL is accepted; see `Mailer.send_ahead`."""
        if self._prepared is not None and self._connection is not None:
            # `send` replaces a connection that is lost here, and fails for a recipient that cannot be written.
            with suppress(ServerUnavailable, ValueError):
                _complete_envelope(self._connection, self._prepared)

    def send(self, message: RenderedEmail) -> str:
        """Send one email; return the server's reply when it accepted it.

        Raises:
            EmailError: see the table above.
        """
        try:
            return self._send(message)
        except (ServerUnavailable, UncertainDelivery):
            self._drop()
            raise
        except EmailError:
            # What was said of this email is over if the next one's envelope is on its way.
            if self._prepared is None:
                self._reset()
            raise
        except BaseException:
            # The state of the connection is unknown, so the next email must not use it.
            self._drop()
            raise
        finally:
            self._following = None

    def close(self) -> None:
        """Quit and close the connection."""
        connection, self._connection = self._connection, None
        self._prepared = self._reset_reply = None
        if connection is not None:
            connection.quit()

    def _send(self, message: RenderedEmail) -> str:
        prepared = self._take_prepared(message)
        if prepared is None or not self._is_still_open(prepared):
            prepared = None
            self._send_envelope(message)
        else:
            self._check_envelope(message, prepared)
        connection, reply = self._begin_data(message, is_prepared=prepared is not None)
        _expect(3, "message", reply)
        following, commands = self._following_envelope(connection)
        with_content = commands if connection.pipelines else ()
        reply, replies = connection.send_data(message.content, *with_content)
        if following is not None and connection.pipelines:
            connection.messages_sent += 1
            self._prepared = _Envelope(following, replies)
        _expect(2, "content", reply)
        if following is not None and not connection.pipelines:
            self._post_mail_ahead(connection, following, commands[0])
        return reply.redacted

    def _post_mail_ahead(self, connection: SmtpConnection, following: RenderedEmail, mail: str) -> None:
        """Send the MAIL of the next email, whose reply is read when that is sent."""
        connection.messages_sent += 1
        try:
            self._prepared = _Envelope(following, connection.post(mail))
        except ServerUnavailable:
            # The email before was accepted, and the next one has a new connection.
            self._lost_in_a_row += 1
            self._drop()

    def _begin_data(self, message: RenderedEmail, *, is_prepared: bool) -> tuple[SmtpConnection, SmtpReply]:
        """Send DATA and return its reply; if the connection of a prepared envelope has ended, use a new one."""
        connection = self._connect_if_needed()
        try:
            reply = connection.command("DATA")
        except ServerUnavailable:
            if not is_prepared:
                raise
        else:
            if not is_prepared:
                return connection, reply
            if reply.code != SERVICE_CLOSING:
                self._lost_in_a_row = 0
                return connection, reply
        self._lost_in_a_row += 1
        self._drop()
        self._send_envelope(message)
        connection = self._connect_if_needed()
        return connection, connection.command("DATA")

    def _send_envelope(self, message: RenderedEmail) -> None:
        """Send MAIL and RCPT, and check that both were accepted.

        A server may have closed an idle connection. Nothing was sent then, so a new connection is opened.
        """
        if self._connection is not None and self._connection.messages_sent >= self._per_connection:
            self.close()
        is_reused = self._connection is not None
        connection, mail, envelope = self._connect_if_needed(), None, None
        try:
            envelope = self._post_envelope(connection, message)
            mail = connection.wait_for(envelope.replies[0])
        except ServerMisconfigured:
            raise
        except ServerUnavailable:
            if not is_reused:
                raise
        if (
            envelope is None
            or mail is None
            or not self._was_reset()
            or (is_reused and mail.code == SERVICE_CLOSING)
        ):
            self._drop()
            envelope = self._post_envelope(self._connect_if_needed(), message)
        self._check_envelope(message, envelope)

    def _post_envelope(self, connection: SmtpConnection, message: RenderedEmail) -> "_Envelope":
        """Send MAIL and RCPT in one write, or MAIL alone if the server takes one command at a time."""
        mail, recipient = self._envelope_commands(connection, message)
        connection.messages_sent += 1
        return _Envelope(message, connection.post(*((mail, recipient) if connection.pipelines else (mail,))))

    def _check_envelope(self, message: RenderedEmail, envelope: "_Envelope") -> None:
        """Read the replies to an envelope; without PIPELINING, RCPT is sent here if it was not before.

        Raises:
            EmailError: a reply was not positive.
        """
        connection = self._connect_if_needed()
        # An address that is not ASCII needs SMTPUTF8, which the server can refuse for this email alone.
        step: Step = "sender" if message.recipient.isascii() else "message"
        _expect(2, step, connection.wait_for(envelope.replies[0]))
        _complete_envelope(connection, envelope)
        _expect(2, "recipient", connection.wait_for(envelope.replies[1]))

    def _take_prepared(self, message: RenderedEmail) -> "_Envelope | None":
        """Return the envelope that was sent ahead for this email. One for another email is withdrawn."""
        prepared, self._prepared = self._prepared, None
        if prepared is None or prepared.message == message:
            return prepared
        self._reset()
        return None

    def _is_still_open(self, prepared: "_Envelope") -> bool:
        """Read the replies to an envelope that was sent ahead; False if the connection ended instead.

        A connection that ends there, before any content, says nothing of this email, which then has a new one.
        Without PIPELINING, RCPT is sent here if it was not before.
        """
        connection = self._connection
        try:
            if connection is not None:
                _complete_envelope(connection, prepared)
                if all(connection.wait_for(each).code != SERVICE_CLOSING for each in prepared.replies):
                    return True
        except ServerUnavailable:
            pass
        self._lost_in_a_row += 1
        self._drop()
        return False

    def _following_envelope(self, connection: SmtpConnection) -> tuple[RenderedEmail | None, tuple[str, ...]]:
        """Return the email whose envelope can go along with the content of this one, and the commands."""
        following = self._following
        if (
            following is None
            or self._lost_in_a_row >= MAX_LOST_IN_A_ROW
            or connection.messages_sent >= self._per_connection
        ):
            return None, ()
        try:
            commands = self._envelope_commands(connection, following)
        except (EmailError, ValueError):
            # It fails at its own turn.
            return None, ()
        return following, commands

    def _envelope_commands(self, connection: SmtpConnection, message: RenderedEmail) -> tuple[str, str]:
        sender = self._renderer.sender_address
        options = f" SIZE={len(message.content)}" if connection.supports("size") else ""
        if not (sender + message.recipient).isascii():
            if not connection.supports("smtputf8"):
                self._reject_smtputf8(sender)
            options += " SMTPUTF8 BODY=8BITMIME"
        if any(character in message.recipient for character in "\r\n"):
            raise ValueError("an address with a line break")
        return f"MAIL FROM:<{sender}>{options}", _rcpt_to(message)

    def _reject_smtputf8(self, sender: str) -> None:
        if not sender.isascii():
            raise ServerMisconfigured("the server cannot send from international addresses")
        raise PermanentFailure("the server cannot send to international addresses")

    def _connect_if_needed(self) -> SmtpConnection:
        if self._connection is None:
            if self._context is None and self._server.tls != "none":
                # Created once, because loading the trusted authorities takes longer than rendering a hundred
                # emails.
                self._context = ssl.create_default_context()
            with self._refusals.counted():
                self._connection = SmtpConnection(self._server, self._context, self._on_exchange)
            self._on_connect(self._connection.supports("smtputf8"))
        return self._connection

    def _reset(self) -> None:
        """Reset the connection for the next email, or drop it.

        With PIPELINING the reply is read when the next one is.
        """
        connection = self._connection
        if connection is None:
            return
        try:
            [self._reset_reply] = connection.post("RSET")
            if not connection.pipelines:
                connection.wait_for(self._reset_reply)
        except ServerUnavailable:
            self._drop()
        if not self._was_reset():
            self._drop()

    def _was_reset(self) -> bool:
        """Whether the server accepted the last RSET, as far as its reply has been read."""
        if self._reset_reply is None or self._reset_reply.reply is None:
            return True
        reply, self._reset_reply = self._reset_reply.reply, None
        return reply.in_class(2)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._prepared = self._reset_reply = None
        if connection is not None:
            connection.close()


@dataclass(frozen=True)
class _Envelope:
    """MAIL and RCPT of an email that were sent, and their replies; without PIPELINING, MAIL alone at first."""

    message: RenderedEmail
    replies: list[PendingReply]


def _complete_envelope(connection: SmtpConnection, envelope: _Envelope) -> None:
    """Send RCPT if it was not sent along with MAIL and the server has accepted that.

    Raises:
        ServerUnavailable: the connection was lost.
    """
    if len(envelope.replies) == 1 and connection.wait_for(envelope.replies[0]).in_class(2):
        envelope.replies.extend(connection.post(_rcpt_to(envelope.message)))


def _rcpt_to(message: RenderedEmail) -> str:
    return f"RCPT TO:<{message.recipient}>"


def _expect(reply_class: int, step: Step, reply: SmtpReply) -> None:
    if not reply.in_class(reply_class):
        raise error_from_reply(step, reply)
