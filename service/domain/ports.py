"""What the domain asks of the outside world, as Protocols; `service.gateways` keeps these promises."""

import datetime
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy.orm import Session

from schemas.vocabulary import Frequency, Suppressed
from service.domain.money.amounts import Money

Clock = Callable[[], datetime.datetime]
"""Returns the present instant in UTC."""

Door = Callable[[], AbstractContextManager[Session]]
"""Opens one transaction: it commits when the block ends and rolls back when it raises."""


@dataclass(frozen=True, kw_only=True)
class CheckoutOrder:
    """What a gateway needs to know to take a pledge; `pledge_id` is also its idempotency key."""

    pledge_id: uuid.UUID
    campaign_name: str
    frequency: Frequency
    money: Money
    lang: str


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A page of the gateway's where the reader pays, and the gateway's own name for it."""

    reference: str
    url: str


class GatewayUnavailable(Exception):
    """The gateway gave no answer, or said that it cannot take payments now."""


class Gateway(Protocol):
    """The thing that takes the money."""

    name: str

    def start_checkout(self, order: CheckoutOrder) -> Checkout:
        """Open a checkout; the same order again yields the same checkout.

        Raises:
            GatewayUnavailable: try again later.
        """


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

    def write(self, letter: ReminderLetter) -> Mail:
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
    reason: Suppressed
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


class Throttle(Protocol):
    """The thing that counts how often one client asks."""

    def check(self, action: str, client: str) -> None:
        """Count one request.

        Raises:
            TooManyRequests: this client asked too often; the error says when to come back.
        """
