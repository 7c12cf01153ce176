"""One connection to an SMTP server, encrypted and authenticated, with a deadline for each reply."""

import smtplib
import ssl
from collections.abc import Callable
from contextlib import suppress

from service.domain.ports import ServerUnavailable, UncertainDelivery
from service.gateways.email.smtp_handshake import Exchange, Handshake
from service.gateways.email.smtp_replies import SmtpReply
from service.settings import SmtpServer

# Seconds. The reply to QUIT does not matter, and a stopping worker has little time.
QUIT_TIMEOUT = 2.0

SMTP_ERRORS = (smtplib.SMTPException, OSError)


class SmtpConnection:
    """An open connection. It closes itself on an error, and cannot be used afterwards."""

    def __init__(
        self,
        server: SmtpServer,
        context: ssl.SSLContext | None,
        on_exchange: Callable[[Exchange], None] = lambda _: None,
    ) -> None:
        """Connect; `on_exchange` gets each reply until the login.

        Raises:
            ServerUnavailable, ServerMisconfigured: there is no connection.
        """
        self.messages_sent = 0
        self._smtp = Handshake(server, context).open(on_exchange)

    def supports(self, extension: str) -> bool:
        """Whether the server has an extension, such as "smtputf8"."""
        return self._smtp.has_extn(extension)

    def command(self, command: str) -> SmtpReply:
        """Send one command and return the reply.

        Raises:
            ServerUnavailable: the connection was lost, before any content was sent.
        """
        try:
            return SmtpReply(*self._smtp.docmd(command))
        except SMTP_ERRORS as error:
            self.close()
            raise ServerUnavailable(f"connection lost ({_error_class(error)})") from error

    def send_data(self, content: bytes) -> SmtpReply:
        """Send a whole message and return the reply.

        Raises:
            ServerUnavailable: the connection was lost before the end of the message.
            UncertainDelivery: the connection was lost after the end of the message and before the reply.
        """
        # A line with a single dot ends the message, so a leading dot is doubled (RFC 5321, section 4.5.2).
        stuffed = content.replace(b"\r\n.", b"\r\n..")
        try:
            self._smtp.send(stuffed + b".\r\n")
        except SMTP_ERRORS as error:
            self.close()
            raise ServerUnavailable(f"connection lost ({_error_class(error)})") from error
        try:
            return SmtpReply(*self._smtp.getreply())
        except SMTP_ERRORS as error:
            self.close()
            raise UncertainDelivery(f"no reply to the whole mail ({_error_class(error)})") from error

    def enable_smtputf8(self) -> None:
        """Allow addresses that are not ASCII in the following commands."""
        self._smtp.command_encoding = "utf-8"

    def quit(self) -> None:
        """Send QUIT if possible, and close the connection."""
        self._smtp.deadline_seconds = QUIT_TIMEOUT
        with suppress(*SMTP_ERRORS):
            self._smtp.quit()
        self.close()

    def close(self) -> None:
        """Close the connection without QUIT."""
        with suppress(OSError):
            self._smtp.close()


def _error_class(error: BaseException) -> str:
    """Return the class name of the underlying error, because smtplib wraps time-outs in its own exceptions."""
    cause = error.__context__
    return type(cause if isinstance(cause, OSError) else error).__name__
