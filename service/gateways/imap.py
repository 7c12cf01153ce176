"""The mailbox of ARF_MAILBOX_URL, read by IMAP over TLS (RFC 9051, RFC 8314)."""

import imaplib
import re
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial

from service.domain.ports import MailboxMessage, MailboxRefused, MailboxUnavailable
from service.gateways.email_webhooks.arf import parse_abuse_report
from service.mail_settings import ImapMailbox

# For connecting, and for each answer.
TIMEOUT_SECONDS = 30.0
# The links are near the beginning of the email in a report. A larger message is cut off.
MAX_MESSAGE_BYTES = 512 * 1024
MAX_MESSAGES = 500
UID = re.compile(rb"[0-9]{1,10}")


class ImapReportMailbox:
    """Reads unread messages and marks them as read; it deletes none."""

    def __init__(
        self,
        mailbox: ImapMailbox,
        *,
        context: ssl.SSLContext | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._mailbox = mailbox
        self._context = context
        self._timeout_seconds = timeout_seconds

    def unread_messages(self) -> Generator[MailboxMessage]:
        """Yield up to 500 unread messages, oldest first; closing the generator disconnects.

        Raises:
            MailboxRefused: the server rejects our login, or there is no such folder.
            MailboxUnavailable: the server is away, or slow to answer.
        """
        with _translated_errors(), self._connect() as connection:
            self._log_in(connection)
            for uid in _unread_uids(connection):
                content = _fetch(connection, uid)
                if content is not None:
                    yield MailboxMessage(
                        report=parse_abuse_report(content), mark_read=partial(_mark_read, connection, uid)
                    )

    def _connect(self) -> imaplib.IMAP4_SSL:
        return imaplib.IMAP4_SSL(
            self._mailbox.host,
            self._mailbox.port,
            ssl_context=self._context or ssl.create_default_context(),
            timeout=self._timeout_seconds,
        )

    def _log_in(self, connection: imaplib.IMAP4_SSL) -> None:
        mailbox = self._mailbox
        try:
            if "AUTH=PLAIN" in connection.capabilities:
                credentials = f"\0{mailbox.user}\0{mailbox.password}".encode()
                connection.authenticate("PLAIN", lambda _challenge: credentials)
            else:
                # The library quotes the password itself, but not the name.
                connection.login(_quoted(mailbox.user), mailbox.password)
            status, _ = connection.select(_quoted(mailbox.folder))
        except imaplib.IMAP4.abort:
            raise
        except (imaplib.IMAP4.error, UnicodeError) as error:
            raise MailboxRefused("login") from error
        if status != "OK":
            raise MailboxRefused("folder")


@contextmanager
def _translated_errors() -> Generator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise MailboxRefused("certificate") from error
    except (OSError, imaplib.IMAP4.error) as error:
        raise MailboxUnavailable(type(error).__name__) from error


def _unread_uids(connection: imaplib.IMAP4_SSL) -> list[str]:
    _, answers = connection.uid("SEARCH", "UNSEEN")
    return [uid.decode() for uid in UID.findall(b" ".join(answer or b"" for answer in answers))][:MAX_MESSAGES]


def _fetch(connection: imaplib.IMAP4_SSL, uid: str) -> bytes | None:
    """Return a message without marking it as read; None if it was deleted meanwhile."""
    _, answers = connection.uid("FETCH", uid, f"(BODY.PEEK[]<0.{MAX_MESSAGE_BYTES}>)")
    return next((answer[1] for answer in answers if isinstance(answer, tuple)), None)


def _mark_read(connection: imaplib.IMAP4_SSL, uid: str) -> None:
    with _translated_errors():
        connection.uid("STORE", uid, "+FLAGS.SILENT", r"(\Seen)")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'
