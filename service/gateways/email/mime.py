"""A mail as bytes: the headers that mail programs act on, and a text and an HTML part (RFC 5322, RFC 2045).

The standard library could write all of this, at fifteen times the price for each mail. It writes what can be kept
for the next one, and the tests hold the rest against what it would have written.
"""

import datetime
import re
from binascii import b2a_qp
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from functools import lru_cache

# RFC 5322, section 2.1.1; RFC 5321, sections 4.5.3.1.1 and 4.5.3.1.2.
MAX_LINE_LENGTH = 998
MAX_ADDRESS_LENGTH = 64 + len("@") + 255
CRLF = b"\r\n"
# Quoted-printable never writes "=_", so that this cannot occur in a part (RFC 2045, section 6.7).
BOUNDARY = b"=_letter"

# A dot-string of RFC 5321, in any script (RFC 6531), at a domain. Sign-ups take nothing else for an address, and
# whatever has a meaning in a header or on the wire is outside it.
_WORD = r"[^\x00- \x7f-\xa0()<>\[\]\\,;:@\".]+"
_RECIPIENT = re.compile(rf"{_WORD}(?:\.{_WORD})*@{_WORD}(?:\.{_WORD})*")
_BRACKETED = re.compile(r"<[^\x00- \x7f-\xa0<>]+>")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")

_MULTIPART = b"\r\n".join(
    (
        b"Auto-Submitted: auto-generated",
        b"MIME-Version: 1.0",
        b'Content-Type: multipart/alternative; boundary="' + BOUNDARY + b'"',
        b"",
    )
)
_ONE_CLICK = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
_PART = (
    b"\r\n--" + BOUNDARY + b'\r\nContent-Type: text/%b; charset="utf-8"'
    b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
)
_TEXT_PART, _HTML_PART, _END = _PART % b"plain", _PART % b"html", b"\r\n--" + BOUNDARY + b"--\r\n"


def build_message(
    *,
    sender: str,
    to: str,
    subject: str,
    date: datetime.datetime,
    message_id: str,
    unsubscribe_url: str | None,
    lang: str,
    text: str,
    html: str,
) -> bytes:
    """Return the message: multipart/alternative, ASCII but for an address that is not, lines ended by CRLF.

    Raises:
        ValueError: a header would be forged, such as by a line break in an address.
    """
    if not (_RECIPIENT.fullmatch(to) and to.isprintable() and len(to.encode()) <= MAX_ADDRESS_LENGTH):
        raise ValueError("An invalid address: mail cannot be sent to it.")
    return b"".join(
        (
            fold_header("From", sender),
            # On one line, which is never too long. Some programs do not look for an address on the next one.
            f"To: {to}\r\n".encode(),
            fold_header("Subject", subject),
            f"Date: {format_datetime(date)}\r\n".encode(),
            _unfolded_header("Message-ID", message_id),
            _list_unsubscribe_headers(unsubscribe_url),
            _MULTIPART,
            fold_header("Content-Language", lang),
            _TEXT_PART,
            _quoted_printable(text),
            _HTML_PART,
            _quoted_printable(html),
            _END,
        )
    )


def _list_unsubscribe_headers(url: str | None) -> bytes:
    """Return the headers for one-click unsubscribing (RFC 8058), where there is something to unsubscribe from."""
    return b"" if url is None else _unfolded_header("List-Unsubscribe", f"<{url}>") + _ONE_CLICK


@lru_cache(maxsize=1024)
def fold_header(name: str, value: str) -> bytes:
    """Return a header as the library folds it. It takes a while, so what many mails share is kept.

    A name or a subject may be given over several lines; a header has one.
    """
    line = " ".join(_CONTROL.sub(" ", value).split())
    # An international address of ours cannot be written in ASCII, and then the whole header need not be.
    policy = EmailPolicy(linesep="\r\n", utf8=name == "From" and not parseaddr(line)[1].isascii())
    header: str = policy.header_factory(name, line).fold(policy=policy)
    return header.encode()


def _unfolded_header(name: str, bracketed: str) -> bytes:
    """Return a header that holds one identifier or address in angle brackets.

    The library would break a long one into encoded words, and no mail program looks for an address inside those
    (RFC 2047, section 5), so that the button for one-click unsubscribing would be missing.
    """
    line = f"{name}: {bracketed}"
    if not (_BRACKETED.fullmatch(bracketed) and line.isprintable() and len(line) <= MAX_LINE_LENGTH):
        raise ValueError(f"An invalid {name}: it is no single address, or too long.")
    # A host in another script leaves no choice; it is our own, so that every mail would fail instead.
    return line.encode() + CRLF if line.isascii() else fold_header(name, bracketed)


def _quoted_printable(body: str) -> bytes:
    """Return a part's content: it passes every server as it is, and stays readable in the source."""
    content = body.encode()
    if b"\r" in content:
        content = content.replace(CRLF, b"\n").replace(b"\r", b"\n")
    # The encoder breaks long lines with the line end that it finds, so there has to be one.
    return b2a_qp(content.removesuffix(b"\n").replace(b"\n", CRLF) + CRLF, istext=True)
