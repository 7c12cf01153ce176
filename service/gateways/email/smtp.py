"""The mailer that sends, over one connection that is reused for so many mails."""

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
from service.gateways.email.smtp_replies import SERVICE_CLOSING, SmtpReply, Step, error_from_reply
from service.settings import SmtpServer


class SmtpMailer:
    """Sends mails to the configured server (RFC 5321), and tells apart whom each failure is about.

    | what happens | what it means |
    |---|---|
    | cannot connect, connection lost before the mail was handed over, goodbye (421) | ServerUnavailable |
    | login, certificate or sender refused | ServerMisconfigured |
    | not to leave after all, which is asked once the recipient is accepted | SendCancelled |
    | recipient or message refused for now (4xx) | TemporaryFailure |
    | recipient or message refused for good (5xx) | PermanentFailure |
    | connection lost after the mail was handed over, and before the reply | UncertainDelivery |
    """

    def __init__(self, server: SmtpServer, writer: EmailRenderer, *, per_connection: int) -> None:
        self._server = server
        self._writer = writer
        self._per_connection = per_connection
        self._connection: SmtpConnection | None = None
        self._context: ssl.SSLContext | None = None

    def render(self, email: Email) -> RenderedEmail:
        """Return the letter as a mail; whatever it raises is the letter's fault."""
        return self._writer.render(email)

    def connect(self) -> None:
        """Make sure that the server listens: an open connection is asked, for it may have ended meanwhile.

        Raises:
            ServerUnavailable, ServerMisconfigured: it does not.
        """
        if self._connection is not None:
            try:
                if self._connection.command("NOOP").in_class(2):
                    return
            except ServerUnavailable:
                pass
            self._drop()
        self._connect_if_needed()

    def send(self, mail: RenderedEmail, *, before_data: Callable[[], bool] = lambda: True) -> str:
        """Send one mail, unless it may not leave; return what the server said when it accepted it.

        Raises:
            EmailError: as the table above says.
        """
        try:
            return self._send(mail, before_data)
        except (ServerUnavailable, UncertainDelivery):
            self._drop()
            raise
        except EmailError:
            self._reset()
            raise
        except BaseException:
            # Nobody can say how far this got, and the next mail must not go on from there.
            self._drop()
            raise

    def close(self) -> None:
        """Say goodbye and let go of the connection."""
        line, self._connection = self._connection, None
        if line is not None:
            line.quit()

    def _send(self, mail: RenderedEmail, before_data: Callable[[], bool]) -> str:
        line = self._begin(mail)
        _expect(2, "recipient", line.command(f"RCPT TO:<{mail.recipient}>"))
        if not before_data():
            raise SendCancelled("it was not to leave after all")
        _expect(3, "message", line.command("DATA"))
        reply = line.send_data(mail.content)
        _expect(2, "content", reply)
        return reply.redacted

    def _begin(self, mail: RenderedEmail) -> SmtpConnection:
        """Name the sender, and return the connection on which it was accepted.

        A server may have ended a connection that was kept. No part of the mail has left then, so that a new one
        is opened and nobody need know.
        """
        if self._connection is not None and self._connection.messages_sent >= self._per_connection:
            self.close()
        was_kept = self._connection is not None
        line, reply = self._connect_if_needed(), None
        try:
            reply = self._mail_from(line, mail)
        except ServerUnavailable:
            if not was_kept:
                raise
        if reply is None or (was_kept and reply.code == SERVICE_CLOSING):
            self._drop()
            line = self._connect_if_needed()
            reply = self._mail_from(line, mail)
        # For an address in another script more is asked for, which can be refused for that mail alone.
        _expect(2, "sender" if mail.recipient.isascii() else "message", reply)
        return line

    def _mail_from(self, line: SmtpConnection, mail: RenderedEmail) -> SmtpReply:
        sender = self._writer.sender_address
        options = f" SIZE={len(mail.content)}" if line.supports("size") else ""
        if not (sender + mail.recipient).isascii():
            if not line.supports("smtputf8"):
                self._reject_smtputf8(sender)
            line.enable_smtputf8()
            options += " SMTPUTF8 BODY=8BITMIME"
        line.messages_sent += 1
        return line.command(f"MAIL FROM:<{sender}>{options}")

    def _reject_smtputf8(self, sender: str) -> None:
        if not sender.isascii():
            raise ServerMisconfigured("the server cannot send from international addresses")
        raise PermanentFailure("the server cannot send to international addresses")

    def _connect_if_needed(self) -> SmtpConnection:
        if self._connection is None:
            if self._context is None and self._server.tls != "none":
                # Reading every authority that we trust takes longer than writing a hundred mails.
                self._context = ssl.create_default_context()
            self._connection = SmtpConnection(self._server, self._context)
        return self._connection

    def _reset(self) -> None:
        """Make the connection ready for the next mail, or let go of it."""
        try:
            if self._connection is not None and self._connection.command("RSET").in_class(2):
                return
        except ServerUnavailable:
            pass
        self._drop()

    def _drop(self) -> None:
        line, self._connection = self._connection, None
        if line is not None:
            line.close()


def _expect(reply_class: int, step: Step, reply: SmtpReply) -> None:
    if not reply.in_class(reply_class):
        raise error_from_reply(step, reply)
