"""What the domain asks of whatever sends mail, and of whoever reports what became of it."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from schemas.vocabulary import Frequency, NotificationKind, SuppressionReason
from service.domain.money.amounts import Money


@dataclass(frozen=True, kw_only=True)
class ReminderLetter:
    """All that a reminder's mail says. `to` is the only personal part; it must not reach a log.

    `asked_on` is a date in the reader's own zone; `give_url`, `manage_url` and `cancel_url` are absolute. With
    `every_months` it comes again. One that `asks_to_confirm` only asks whether the reader wants the reminder at
    all: its one button leads to `manage_url`.
    """

    message_id: str
    to: str = field(repr=False)
    lang: str
    campaign_name: str
    campaign_heading: str
    texts: dict[str, str]
    asked_on: datetime.date
    asked_where: str | None
    frequency: Frequency | None
    money: Money | None
    give_url: str
    manage_url: str = field(repr=False)
    cancel_url: str = field(repr=False)
    every_months: int | None = None
    asks_to_confirm: bool = False


@dataclass(frozen=True, kw_only=True)
class NoticeLetter:
    """All that a mail about a pledge says, or one with a link to sign in; `to` and the links are the reader's own.

    `money` is what was or will be paid, `fees` included, the part that covers the gateway's share; `falls_on` is
    when: of the payment, the next try, the renewal or the end. `number` is which of at most three mails about one
    missed payment this is, and `is_unpaid` tells an end because of such payments from one that was asked for.
    `legal_name` and `tax_line` stand on receipts. `page_url` is where the button leads, with `leads_to_pledge` to
    the pledge's own page; at `readers_page_url` the reader sees all that they give.
    """

    kind: NotificationKind
    message_id: str
    to: str = field(repr=False)
    lang: str
    campaign_name: str
    texts: dict[str, str]
    frequency: Frequency | None
    money: Money | None
    falls_on: datetime.date | None
    page_url: str = field(repr=False)
    readers_page_url: str
    number: int = 1
    is_unpaid: bool = False
    leads_to_pledge: bool = False
    fees: Money | None = None
    receipt_number: str | None = None
    legal_name: str | None = None
    tax_line: str | None = None


Letter = ReminderLetter | NoticeLetter


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A letter as it leaves: `content` is the whole message (RFC 5322), its lines ended by CRLF."""

    message_id: str
    recipient: str = field(repr=False)
    content: bytes = field(repr=False)


class MailTrouble(Exception):
    """A mail did not leave, or may not have. The message says why, without an address."""


class MailDelayed(MailTrouble):
    """This mail could not leave now but may later."""


class MailDoubtful(MailDelayed):
    """The connection ended between handing the whole mail over and the reply: it may have been accepted."""


class MailRefused(MailTrouble):
    """This mail will never be taken as it is; with `dead_address`, no mail to its recipient will."""

    def __init__(self, message: str, *, dead_address: bool = False) -> None:
        super().__init__(message)
        self.dead_address = dead_address


class MailWithheld(MailTrouble):
    """This mail was not to leave after all, and has not."""


class MailServerAway(MailTrouble):
    """No mail can leave now, whoever it is for: the server does not answer, or says goodbye."""


class MailServerRefusesUs(MailServerAway):
    """No mail can leave until a person mends it: the server refuses our name, password, certificate or sender."""


class Mailer(Protocol):
    """The thing that sends mail, over one connection at a time. Not for two threads at once."""

    def write(self, letter: Letter) -> Mail:
        """Return the letter as a mail; whatever it raises is the letter's fault, and no other mail's."""

    def open(self) -> None:
        """Make sure that a mail can leave, as far as can be known without sending one.

        Raises:
            MailServerAway: try again later.
            MailServerRefusesUs: somebody must look.
        """

    def send(self, mail: Mail, *, may_leave: Callable[[], bool] = lambda: True) -> str:
        """Send one mail; return what the server said when it accepted it.

        The server may be told for whom the mail is before, but nothing of its content leaves until `may_leave` has
        been asked, which may take a moment, and has said that it may.

        Raises:
            MailWithheld: it may not.
            MailDelayed, MailDoubtful: try again later.
            MailRefused: do not try again.
            MailServerAway, MailServerRefusesUs: the mail has not left, and no other will.
        """

    def close(self) -> None:
        """Let go of the connection, if one is open."""


@dataclass(frozen=True, kw_only=True)
class MailReport:
    """What a mail service says of one address, as it writes it; `at` is when it happened, if it says so."""

    address: str = field(repr=False)
    reason: SuppressionReason
    at: datetime.datetime | None = None


class UnreadableReport(Exception):
    """What came is not what this mail service sends."""


class MailReporter(Protocol):
    """The thing that reads what one mail service reports: bounces, complaints and wishes to be left alone.

    `name` stands in the address that it posts to; `challenge` is the WWW-Authenticate of an answer to whom it does
    not know, if that is how it proves itself.
    """

    name: str
    challenge: str | None

    def is_authentic(self, headers: Mapping[str, str], body: bytes, now: datetime.datetime, /) -> bool:
        """Whether the service itself sent this, by the proof that it documents; compares in constant time.

        The names of the headers are written as in `Content-Type`.

        Raises:
            UnreadableReport: the proof stands in a body that cannot be read.
        """

    def read(self, body: bytes) -> list[MailReport]:
        """Return which addresses are to get no more mail; of what only passes by, none.

        Raises:
            UnreadableReport: the body is not what this service sends.
        """
