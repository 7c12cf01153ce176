"""What a mail server's reply means: for this mail, for its address, or for every mail (RFC 5321, RFC 3463)."""

import re
from dataclasses import dataclass, field
from typing import Literal

from service.domain.ports import (
    MailDelayed,
    MailDoubtful,
    MailRefused,
    MailServerAway,
    MailServerRefusesUs,
    MailTrouble,
)

Step = Literal["sender", "recipient", "message", "content"]

LONGEST_REPLY = 200
GOODBYE = 421
# RFC 4954, section 6: the server wants a login, a stronger one, or another one.
WANTS_A_LOGIN = (530, 534, 535, 538)
# RFC 5321, section 4.2.3, and RFC 7504: of all refusals these alone speak of the mailbox itself. 552 means a full
# one, 554 any failure at all, and 500 to 504 that we were not understood.
ABOUT_THE_MAILBOX = (550, 551, 553, 556)
# RFC 3463, section 3.2: X.1.7 and X.1.8 are about the sender's address, and X.1.9 about a relay.
ABOUT_THE_SENDER = ((1, 7), (1, 8))
NOT_ABOUT_THE_RECIPIENT = (*ABOUT_THE_SENDER, (1, 9))

_ENHANCED = re.compile(rb"[245]\.(\d{1,3})\.(\d{1,3})(?!\S)")
_ADDRESS = re.compile(r'<?(?:"[^"]*"|[^\s<>"]*)@[^\s<>]*>?')


@dataclass(frozen=True)
class Reply:
    """A reply as it came; its text may repeat an address, so only `said` may be kept or shown."""

    code: int
    text: bytes = field(repr=False)

    @property
    def said(self) -> str:
        """The reply on one line, without any address, and not too long."""
        text = " ".join(self.text.decode("utf-8", "replace").split())
        if "@" in text:
            text = _ADDRESS.sub("…", text)
        shown = "".join(sign for sign in text if sign.isprintable())
        return f"{self.code} {shown}".strip()[:LONGEST_REPLY]

    @property
    def enhanced(self) -> tuple[int, int] | None:
        """The subject and detail of an enhanced status code, (1, 1) for "5.1.1"; None if there is none."""
        found = _ENHANCED.match(self.text)
        return (int(found[1]), int(found[2])) if found else None

    def is_within(self, hundred: int) -> bool:
        """Tell whether the code is one of so many hundred: 2 for "done", 3 for "go on"."""
        return self.code // 100 == hundred


def trouble_in(step: Step, reply: Reply) -> MailTrouble:
    """Return the error for a reply that was not the hoped-for one."""
    said = f"({reply.said})"
    if reply.code == GOODBYE:
        return MailServerAway(f"the server says goodbye {said}")
    if reply.is_within(5) and (reply.code in WANTS_A_LOGIN or reply.enhanced in ABOUT_THE_SENDER):
        return MailServerRefusesUs(f"the server refuses us {said}")
    if step == "sender":
        refused = MailServerRefusesUs(f"sender refused {said}")
        return refused if reply.is_within(5) else MailServerAway(f"sender refused for now {said}")
    if reply.is_within(4):
        return MailDelayed(f"{step} refused for now {said}")
    if reply.is_within(5):
        dead = _is_dead(reply) if step == "recipient" else _names_the_recipient(reply)
        return MailRefused(f"{step} refused {said}", dead_address=dead)
    unclear = f"the server's reply makes no sense {said}"
    return MailDoubtful(unclear) if step == "content" else MailServerAway(unclear)


def _is_dead(reply: Reply) -> bool:
    """Tell whether a refused recipient does not exist, rather than having a full box or a strict host."""
    if reply.enhanced in (None, (0, 0)):
        return reply.code in ABOUT_THE_MAILBOX
    return _names_the_recipient(reply) or reply.enhanced == (2, 1)


def _names_the_recipient(reply: Reply) -> bool:
    """Tell whether the status is of those on the recipient's address (5.1.x)."""
    status = reply.enhanced
    return status is not None and status[0] == 1 and status not in NOT_ABOUT_THE_RECIPIENT
