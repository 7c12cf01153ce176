"""What the domain asks of whatever sends mail, and of whoever reports what became of it."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from schemas.enums import Frequency, NotificationKind, SuppressionReason
from service.domain.money import Money


@dataclass(frozen=True, kw_only=True)
class ReminderEmail:
    """All that a reminder's mail says. `to` is the only personal part; it must not reach a log.

    `requested_on` is a date in the reader's own zone; `give_url`, `manage_url` and `cancel_url` are absolute. With
    `every_months` it comes again. One that `is_confirmation_request` only asks whether the reader wants the
    reminder at
    all: its one button leads to `manage_url`.
    """

    message_id: str
    to: str = field(repr=False)
    lang: str
    campaign_name: str
    campaign_heading: str
    texts: dict[str, str]
    requested_on: datetime.date
    requested_from: str | None
    frequency: Frequency | None
    money: Money | None
    give_url: str
    manage_url: str = field(repr=False)
    cancel_url: str = field(repr=False)
    every_months: int | None = None
    is_confirmation_request: bool = False


@dataclass(frozen=True, kw_only=True)
class NotificationEmail:
    """All that a mail about a pledge says, or one with a link to sign in; `to` and the links are the reader's own.

    `money` is what was or will be paid, `fees` included, the part that covers the gateway's share; `event_date` is
    when: of the payment, the next try, the renewal or the end. `dunning_number` is which of at most three mails
    about one
    missed payment this is, and `is_unpaid` tells an end because of such payments from one that was asked for.
    `legal_name` and `tax_line` stand on receipts. `page_url` is where the button leads, with `links_to_pledge` to
    the pledge's own page; at `account_url` the reader sees all that they give.
    """

    kind: NotificationKind
    message_id: str
    to: str = field(repr=False)
    lang: str
    campaign_name: str
    texts: dict[str, str]
    frequency: Frequency | None
    money: Money | None
    event_date: datetime.date | None
    page_url: str = field(repr=False)
    account_url: str
    dunning_number: int = 1
    is_unpaid: bool = False
    links_to_pledge: bool = False
    fees: Money | None = None
    receipt_number: str | None = None
    legal_name: str | None = None
    tax_line: str | None = None


Email = ReminderEmail | NotificationEmail


@dataclass(frozen=True, kw_only=True)
class RenderedEmail:
    """A letter as it leaves: `content` is the whole message (RFC 5322), its lines ended by CRLF."""

    message_id: str
    recipient: str = field(repr=False)
    content: bytes = field(repr=False)


class EmailError(Exception):
    """A mail did not leave, or may not have. The message says why, without an address."""


class TemporaryFailure(EmailError):
    """This mail could not leave now but may later."""


class UncertainDelivery(TemporaryFailure):
    """The connection ended between handing the whole mail over and the reply: it may have been accepted."""


class PermanentFailure(EmailError):
    """This mail will never be taken as it is; with `is_hard_bounce`, no mail to its recipient will."""

    def __init__(self, message: str, *, dead_address: bool = False) -> None:
        super().__init__(message)
        self.is_hard_bounce = dead_address


class SendCancelled(EmailError):
    """This mail was not to leave after all, and has not."""


class ServerUnavailable(EmailError):
    """No mail can leave now, whoever it is for: the server does not answer, or says goodbye."""


class ServerMisconfigured(ServerUnavailable):
    """No mail can leave until a person mends it: the server refuses our name, password, certificate or sender."""


class Mailer(Protocol):
    """The thing that sends mail, over one connection at a time. Not for two threads at once."""

    def render(self, email: Email) -> RenderedEmail:
        """Return the letter as a mail; whatever it raises is the letter's fault, and no other mail's."""

    def connect(self) -> None:
        """Make sure that a mail can leave, as far as can be known without sending one.

        Raises:
            ServerUnavailable: try again later.
            ServerMisconfigured: somebody must look.
        """

    def send(self, mail: RenderedEmail, *, before_data: Callable[[], bool] = lambda: True) -> str:
        """Send one mail; return what the server said when it accepted it.

        The server may be told for whom the mail is before, but nothing of its content leaves until `before_data`
        has
        been asked, which may take a moment, and has said that it may.

        Raises:
            SendCancelled: it may not.
            TemporaryFailure, UncertainDelivery: try again later.
            PermanentFailure: do not try again.
            ServerUnavailable, ServerMisconfigured: the mail has not left, and no other will.
        """

    def close(self) -> None:
        """Let go of the connection, if one is open."""


@dataclass(frozen=True, kw_only=True)
class BounceReport:
    """What a mail service says of one address, as it writes it; `at` is when it happened, if it says so."""

    address: str = field(repr=False)
    reason: SuppressionReason
    at: datetime.datetime | None = None


class InvalidWebhook(Exception):
    """What came is not what this mail service sends."""


class EmailWebhookProvider(Protocol):
    """The thing that reads what one mail service reports: bounces, complaints and wishes to be left alone.

    `name` stands in the address that it posts to; `www_authenticate` is the WWW-Authenticate of an answer to whom
    it does
    not know, if that is how it proves itself.
    """

    name: str
    www_authenticate: str | None

    def is_authentic(self, headers: Mapping[str, str], body: bytes, now: datetime.datetime, /) -> bool:
        """Whether the service itself sent this, by the proof that it documents; compares in constant time.

        The names of the headers are written as in `Content-Type`.

        Raises:
            InvalidWebhook: the proof stands in a body that cannot be read.
        """

    def parse(self, body: bytes) -> list[BounceReport]:
        """Return which addresses are to get no more mail; of what only passes by, none.

        Raises:
            InvalidWebhook: the body is not what this service sends.
        """
