"""What an SMTP reply means: for this email, for its address, or for every email (RFC 5321, RFC 3463)."""

import re
from dataclasses import dataclass, field
from typing import Literal

from service.domain.ports import (
    EmailError,
    PermanentFailure,
    ServerMisconfigured,
    ServerUnavailable,
    TemporaryFailure,
    UncertainDelivery,
)

Step = Literal["sender", "recipient", "message", "content"]

MAX_REPLY_LENGTH = 200
SERVICE_CLOSING = 421
# RFC 4954, section 6: authentication required, too weak, or with another mechanism.
AUTH_REQUIRED = (530, 534, 535, 538)
# RFC 5321, section 4.2.3, and RFC 7504: only these are about the mailbox itself. 552 means that it is full, 554 is
# a general failure, and 500 to 504 are syntax errors.
MAILBOX_CODES = (550, 551, 553, 556)
# RFC 3463, section 3.2: X.1.7 and X.1.8 are about the sender's address, and X.1.9 about a relay.
SENDER_STATUSES = ((1, 7), (1, 8))
NON_RECIPIENT_STATUSES = (*SENDER_STATUSES, (1, 9))

_ENHANCED = re.compile(rb"[245]\.(\d{1,3})\.(\d{1,3})(?!\S)")
_ADDRESS = re.compile(r'<?(?:"[^"]*"|[^\s<>"]*)@[^\s<>]*>?')


@dataclass(frozen=True)
class SmtpReply:
    """A raw reply. Its text may contain an address, so only `redacted` may be stored or logged."""

    code: int
    text: bytes = field(repr=False)

    @property
    def redacted(self) -> str:
        """The reply on one line, truncated and without addresses."""
        text = " ".join(self.text.decode("utf-8", "replace").split())
        if "@" in text:
            text = _ADDRESS.sub("…", text)
        printable = "".join(character for character in text if character.isprintable())
        # smtplib has the code -1 for what is no reply.
        code = str(self.code) if self.code > 0 else ""
        return f"{code} {printable}".strip()[:MAX_REPLY_LENGTH]

    @property
    def printable_lines(self) -> list[str]:
        """The lines as the server wrote them, with their code and without control characters; for a terminal."""
        lines = self.text.decode("utf-8", "replace").splitlines() or [""]
        printable = ("".join(character for character in line if character.isprintable()) for line in lines)
        code = str(self.code) if self.code > 0 else ""
        return [f"{code} {line}".strip() for line in printable]

    @property
    def enhanced(self) -> tuple[int, int] | None:
        """The subject and detail of the enhanced status code, (1, 1) for "5.1.1"; None without one."""
        match = _ENHANCED.match(self.text)
        return (int(match[1]), int(match[2])) if match else None

    def in_class(self, first_digit: int) -> bool:
        """Whether the code has this first digit: 2 for completed, 3 for continue, 4 and 5 for failures."""
        return self.code // 100 == first_digit


def error_from_reply(step: Step, reply: SmtpReply) -> EmailError:
    """Return the error for an unexpected reply."""
    quoted = f"({reply.redacted})"
    if reply.code == SERVICE_CLOSING:
        return ServerUnavailable(f"the server says goodbye {quoted}")
    if reply.in_class(5) and (reply.code in AUTH_REQUIRED or reply.enhanced in SENDER_STATUSES):
        return ServerMisconfigured(f"the server refuses us {quoted}")
    if step == "sender":
        refused = ServerMisconfigured(f"sender refused {quoted}")
        return refused if reply.in_class(5) else ServerUnavailable(f"sender refused for now {quoted}")
    if reply.in_class(4):
        return TemporaryFailure(f"{step} refused for now {quoted}")
    if reply.in_class(5):
        is_hard_bounce = _is_invalid_recipient(reply) if step == "recipient" else _is_recipient_status(reply)
        return PermanentFailure(f"{step} refused {quoted}", is_hard_bounce=is_hard_bounce)
    unexpected = f"unexpected reply {quoted}"
    return UncertainDelivery(unexpected) if step == "content" else ServerUnavailable(unexpected)


def _is_invalid_recipient(reply: SmtpReply) -> bool:
    """Whether a refused recipient does not exist, rather than having a full mailbox or a strict host."""
    if reply.enhanced in (None, (0, 0)):
        return reply.code in MAILBOX_CODES
    return _is_recipient_status(reply) or reply.enhanced == (2, 1)


def _is_recipient_status(reply: SmtpReply) -> bool:
    """Whether the enhanced status is about the recipient's address (5.1.x)."""
    status = reply.enhanced
    return status is not None and status[0] == 1 and status not in NON_RECIPIENT_STATUSES
