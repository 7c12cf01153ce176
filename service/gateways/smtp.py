"""The mailer that sends, over one connection that is reused as long as the server keeps it."""

import smtplib
import ssl

from service.domain.ports import MailDelayed, MailRefused, ReminderLetter
from service.gateways.letters import LetterWriter
from service.settings import MailServer

TIMEOUT_SECONDS = 30


class SmtpMailer:
    """Sends each letter to the configured server (RFC 5321). Not for two threads at once."""

    def __init__(self, server: MailServer, writer: LetterWriter) -> None:
        self._server = server
        self._writer = writer
        self._connection: smtplib.SMTP | None = None

    def send(self, letter: ReminderLetter) -> None:
        """Send one letter; return once the server has accepted it.

        Raises:
            MailDelayed: the connection failed, or the server said "later" (4xx) or refused us as a sender.
            MailRefused: the server refused the recipient or the message for good (5xx).
        """
        message = self._writer.write(letter)
        connection = self._open()
        try:
            connection.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            raise _refusal("recipient refused", code) from error
        except smtplib.SMTPSenderRefused as error:
            self.close()
            raise MailDelayed(f"sender refused ({error.smtp_code})") from error
        except smtplib.SMTPDataError as error:
            raise _refusal("message refused", error.smtp_code) from error
        except smtplib.SMTPNotSupportedError as error:
            raise MailRefused("the server cannot send to international addresses") from error
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise MailDelayed(f"connection failed ({type(error).__name__})") from error

    def close(self) -> None:
        """Say goodbye and let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.quit()
            except (smtplib.SMTPException, OSError):
                connection.close()

    def _open(self) -> smtplib.SMTP:
        """Return a connection that answers, the old one if it still does.

        Raises:
            MailDelayed: whatever keeps us from connecting is our fault or the server's, and no reader's.
        """
        if self._connection is not None:
            try:
                if self._connection.noop()[0] == 250:
                    return self._connection
            except (smtplib.SMTPException, OSError):
                pass
            self.close()
        try:
            self._connection = self._connect()
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            # UnicodeError: smtplib sends no name or password but ASCII.
            raise MailDelayed(f"connection failed ({type(error).__name__})") from error
        return self._connection

    def _connect(self) -> smtplib.SMTP:
        server, context = self._server, ssl.create_default_context()
        if server.tls == "implicit":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
        try:
            if server.tls == "starttls":
                connection.starttls(context=context)
            if server.user is not None:
                connection.login(server.user, server.password or "")
        except BaseException:
            connection.close()
            raise
        return connection


def _refusal(what: str, code: int) -> MailDelayed | MailRefused:
    """Return the error for a reply: 4xx may be tried again, 5xx may not (RFC 5321, section 4.2.1)."""
    return MailDelayed(f"{what} for now ({code})") if 400 <= code < 500 else MailRefused(f"{what} ({code})")
