"""What a mail server's reply means: for this mail, for its address, or for every mail (RFC 5321, RFC 3463)."""

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
# RFC 4954, section 6: the server wants a login, a stronger one, or another one.
AUTH_REQUIRED = (530, 534, 535, 538)
# RFC 5321, section 4.2.3, and RFC 7504: of all refusals these alone speak of the mailbox itself. 552 means a full
# one, 554 any failure at all, and 500 to 504 that we were not understood.
MAILBOX_CODES = (550, 551, 553, 556)
# RFC 3463, section 3.2: X.1.7 and X.1.8 are about the sender's address, and X.1.9 about a relay.
SENDER_STATUSES = ((1, 7), (1, 8))
NON_RECIPIENT_STATUSES = (*SENDER_STATUSES, (1, 9))

_ENHANCED = re.compile(rb"[245]\.(\d{1,3})\.(\d{1,3})(?!\S)")
_ADDRESS = re.compile(r'<?(?:"[^"]*"|[^\s<>"]*)@[^\s<>]*>?')


@dataclass(frozen=True)
class SmtpReply:
    """A reply as it came; its text may repeat an address, so only `redacted` may be kept or shown."""

    code: int
    text: bytes = field(repr=False)

    @property
    def redacted(self) -> str:
        """The reply on one line, without any address, and not too long."""
        text = " ".join(self.text.decode("utf-8", "replace").split())
        if "@" in text:
            text = _ADDRESS.sub("…", text)
        shown = "".join(sign for sign in text if sign.isprintable())
        return f"{self.code} {shown}".strip()[:MAX_REPLY_LENGTH]

    @property
    def enhanced(self) -> tuple[int, int] | None:
        """The subject and detail of an enhanced status code, (1, 1) for "5.1.1"; None if there is none."""
        found = _ENHANCED.match(self.text)
        return (int(found[1]), int(found[2])) if found else None

    def in_class(self, hundred: int) -> bool:
        """Tell whether the code is one of so many hundred: 2 for "done", 3 for "go on"."""
        return self.code // 100 == hundred


def error_from_reply(step: Step, reply: SmtpReply) -> EmailError:
    """Return the error for a reply that was not the hoped-for one."""
    said = f"({reply.redacted})"
    if reply.code == SERVICE_CLOSING:
        return ServerUnavailable(f"the server says goodbye {said}")
    if reply.in_class(5) and (reply.code in AUTH_REQUIRED or reply.enhanced in SENDER_STATUSES):
        return ServerMisconfigured(f"the server refuses us {said}")
    if step == "sender":
        refused = ServerMisconfigured(f"sender refused {said}")
        return refused if reply.in_class(5) else ServerUnavailable(f"sender refused for now {said}")
    if reply.in_class(4):
        return TemporaryFailure(f"{step} refused for now {said}")
    if reply.in_class(5):
        dead = _is_invalid_recipient(reply) if step == "recipient" else _is_recipient_status(reply)
        return PermanentFailure(f"{step} refused {said}", dead_address=dead)
    unclear = f"the server's reply makes no sense {said}"
    return UncertainDelivery(unclear) if step == "content" else ServerUnavailable(unclear)


def _is_invalid_recipient(reply: SmtpReply) -> bool:
    """Tell whether a refused recipient does not exist, rather than having a full box or a strict host."""
    if reply.enhanced in (None, (0, 0)):
        return reply.code in MAILBOX_CODES
    return _is_recipient_status(reply) or reply.enhanced == (2, 1)


def _is_recipient_status(reply: SmtpReply) -> bool:
    """Tell whether the status is of those on the recipient's address (5.1.x)."""
    status = reply.enhanced
    return status is not None and status[0] == 1 and status not in NON_RECIPIENT_STATUSES
