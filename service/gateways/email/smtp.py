"""A mailer that sends over SMTP and reuses one connection for many emails."""

import ssl
from collections.abc import Callable

from service.domain.ports import (
    Email,
    EmailError,
    PermanentFailure,
    RenderedEmail,
    SendCancelled,
    ServerMisconfigured,
    ServerUnavailable,
    UncertainDelivery,
)
from service.gateways.email.renderer import EmailRenderer
from service.gateways.email.smtp_connection import SmtpConnection
from service.gateways.email.smtp_refusals import ConnectRefusals
from service.gateways.email.smtp_replies import SERVICE_CLOSING, SmtpReply, Step, error_from_reply
from service.settings import SmtpServer


class SmtpMailer:
    """Sends emails through the configured server (RFC 5321).

    | what happens | error |
    |---|---|
    | cannot connect, connection lost before the whole email was sent, service closing (421) | ServerUnavailable |
    | login, certificate or sender refused; before MAIL, the third refusal in a row | ServerMisconfigured |
    | `before_data` returned False, which is called once the recipient is accepted | SendCancelled |
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
    ) -> None:
        """Create a mailer. `on_connect` gets whether the server offers SMTPUTF8, for each new connection.

        All mailers of a process share `refusals`.
        """
        self._server = server
        self._renderer = renderer
        self._per_connection = per_connection
        self._on_connect = on_connect
        self._refusals = refusals or ConnectRefusals()
        self._connection: SmtpConnection | None = None
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
                if self._connection.command("NOOP").in_class(2):
                    return
            except ServerUnavailable:
                pass
            self._drop()
        self._connect_if_needed()

    def send(self, message: RenderedEmail, *, before_data: Callable[[], bool] = lambda: True) -> str:
        """Send one email; return the server's reply when it accepted it.

        Raises:
            EmailError: see the table above.
        """
        try:
            return self._send(message, before_data)
        except (ServerUnavailable, UncertainDelivery):
            self._drop()
            raise
        except EmailError:
            self._reset()
            raise
        except BaseException:
            # The state of the connection is unknown, so the next email must not use it.
            self._drop()
            raise

    def close(self) -> None:
        """Quit and close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.quit()

    def _send(self, message: RenderedEmail, before_data: Callable[[], bool]) -> str:
        connection = self._start(message)
        _expect(2, "recipient", connection.command(f"RCPT TO:<{message.recipient}>"))
        if not before_data():
            raise SendCancelled("cancelled before DATA")
        _expect(3, "message", connection.command("DATA"))
        reply = connection.send_data(message.content)
        _expect(2, "content", reply)
        return reply.redacted

    def _start(self, message: RenderedEmail) -> SmtpConnection:
        """Send MAIL FROM and return the connection on which the sender was accepted.

        A server may have closed an idle connection. Nothing was sent then, so a new connection is opened.
        """
        if self._connection is not None and self._connection.messages_sent >= self._per_connection:
            self.close()
        is_reused = self._connection is not None
        connection, reply = self._connect_if_needed(), None
        try:
            reply = self._mail_from(connection, message)
        except ServerUnavailable:
            if not is_reused:
                raise
        if reply is None or (is_reused and reply.code == SERVICE_CLOSING):
            self._drop()
            connection = self._connect_if_needed()
            reply = self._mail_from(connection, message)
        # An address that is not ASCII needs SMTPUTF8, which the server can refuse for this email alone.
        _expect(2, "sender" if message.recipient.isascii() else "message", reply)
        return connection

    def _mail_from(self, connection: SmtpConnection, message: RenderedEmail) -> SmtpReply:
        sender = self._renderer.sender_address
        options = f" SIZE={len(message.content)}" if connection.supports("size") else ""
        if not (sender + message.recipient).isascii():
            if not connection.supports("smtputf8"):
                self._reject_smtputf8(sender)
            connection.enable_smtputf8()
            options += " SMTPUTF8 BODY=8BITMIME"
        connection.messages_sent += 1
        return connection.command(f"MAIL FROM:<{sender}>{options}")

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
                self._connection = SmtpConnection(self._server, self._context)
            self._on_connect(self._connection.supports("smtputf8"))
        return self._connection

    def _reset(self) -> None:
        """Reset the connection for the next email, or drop it."""
        try:
            if self._connection is not None and self._connection.command("RSET").in_class(2):
                return
        except ServerUnavailable:
            pass
        self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _expect(reply_class: int, step: Step, reply: SmtpReply) -> None:
    if not reply.in_class(reply_class):
        raise error_from_reply(step, reply)
