"""The ports for sending email and for the webhooks of email services."""

import datetime
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from schemas.enums import EmailKind, Frequency, SuppressionReason
from service.domain.money import Money
from service.domain.offer_changes import OfferChange
from service.domain.ports.payment_methods import PaymentMethod


@dataclass(frozen=True, kw_only=True)
class EmailLogo:
    """A PNG image of ours, and the size at which it is shown, in CSS pixels."""

    url: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class EmailBrand:
    """What an email shows of a campaign's brand; None is Mainstay's own.

    The colours are `#rrggbb`. `heading_font` is `serif`, `sans` or `system`.
    """

    logo: EmailLogo | None = None
    logo_dark: EmailLogo | None = None
    accent: str | None = None
    on_accent: str | None = None
    heading_font: str | None = None
    postal_address: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReminderEmail:
    """The content of a reminder email. `to` and the tokens in the URLs must not reach a log.

    `requested_on` is a date in the reader's time zone. The URLs are absolute; supporters sign in at `account_url`.
    `page_title` is that of the page `requested_from`, as the reader's browser named it. Dates are written as in
    the region of `campaign_lang`.
    With `every_months` the reminder repeats; one that did and `is_last` does not any more. `offer_changes` are
    what the campaign does not offer any more of the reader's choice. A campaign that offers no reminders has none
    that `can_be_moved`. With `is_confirmation_request` the email asks whether the reader
    wants the reminder, and its only button links to `manage_url`.
    """

    message_id: str
    to: str = field(repr=False)
    lang: str
    campaign_name: str
    campaign_heading: str
    texts: dict[str, str]
    requested_on: datetime.date
    requested_from: str | None
    page_title: str | None
    frequency: Frequency | None
    money: Money | None
    give_url: str
    manage_url: str = field(repr=False)
    cancel_url: str = field(repr=False)
    account_url: str
    brand: EmailBrand = EmailBrand()
    campaign_lang: str = "en"
    every_months: int | None = None
    is_confirmation_request: bool = False
    offer_changes: tuple[OfferChange, ...] = ()
    can_be_moved: bool = True
    is_last: bool = False


@dataclass(frozen=True, kw_only=True)
class NotificationEmail:
    """The content of an email about a pledge, or with a sign-in link. `to` and `page_url` must not reach a log.

    `money` is what was or will be paid, including `fees`, the part that covers the gateway's fees. `event_date` is
    the date of the payment, the next attempt, the renewal or the end. `dunning_number` numbers the emails about
    one failed payment, from 1 to 3. `is_unpaid` means that a pledge ended because payments failed, and not on
    request. With `has_transfer_on_its_way` it was cancelled before its first transfer came. `invoice_url` is the
    gateway's page to pay an open invoice; with `needs_confirmation` the bank wants the payment confirmed there,
    and the button links to it. `legal_name` and `tax_line` are for receipts. Of a refund, `money` is what was
    returned, and `net` what is left of what was `paid`; on a receipt, what is left of `money` if something came
    back. `since` is when the reader began to give. The button in the email to an address that was replaced undoes
    the change, if it `can_be_undone` (until `event_date`). The button links to `page_url`, which with
    `links_to_pledge` is the pledge's page. `account_url` is the page with all of a reader's pledges. Dates are
    written as in the region of `campaign_lang`.
    """

    kind: EmailKind
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
    brand: EmailBrand = EmailBrand()
    campaign_lang: str = "en"
    dunning_number: int = 1
    is_unpaid: bool = False
    has_transfer_on_its_way: bool = False
    invoice_url: str | None = field(default=None, repr=False)
    needs_confirmation: bool = False
    links_to_pledge: bool = False
    fees: Money | None = None
    receipt_number: str | None = None
    legal_name: str | None = None
    tax_line: str | None = None
    payment_number: str | None = None
    method: PaymentMethod | None = None
    paid: Money | None = None
    net: Money | None = None
    can_be_undone: bool = False
    since: datetime.date | None = None


@dataclass(frozen=True, kw_only=True)
class AlertEmail:
    """The content of an email to staff, in plain English. `to` must not reach a log."""

    message_id: str
    to: str = field(repr=False)
    subject: str
    paragraphs: tuple[str, ...]


Email = ReminderEmail | NotificationEmail | AlertEmail


@dataclass(frozen=True, kw_only=True)
class RenderedEmail:
    """An email ready to send: `content` is the whole message (RFC 5322) with CRLF line endings."""

    message_id: str
    recipient: str = field(repr=False)
    content: bytes = field(repr=False)


class EmailError(Exception):
    """An email was not sent, or may not have been. The message says why, without an address."""


class TemporaryFailure(EmailError):
    """This email was refused for now (4xx); a retry may succeed."""


class UncertainDelivery(TemporaryFailure):
    """The connection ended after the whole email was sent and before the reply, so it may have been accepted."""


class PermanentFailure(EmailError):
    """This email was refused permanently (5xx); with `is_hard_bounce`, so is any other to its recipient."""

    def __init__(self, message: str, *, is_hard_bounce: bool = False) -> None:
        super().__init__(message)
        self.is_hard_bounce = is_hard_bounce


class ServerUnavailable(EmailError):
    """No email can be sent now: the server does not reply, or closes the service (421)."""


class ServerMisconfigured(ServerUnavailable):
    """No email can be sent until an operator fixes the configuration of the login, certificate or sender."""


class Mailer(Protocol):
    """Renders and sends email over one connection. Not thread-safe."""

    def render(self, email: Email) -> RenderedEmail:
        """Render an email. Any exception is about this email alone."""

    def connect(self) -> None:
        """Connect if needed, and check that the server replies.

        Raises:
            ServerUnavailable: try again later.
            ServerMisconfigured: an operator must act.
        """

    def send(self, message: RenderedEmail) -> str:
        """Send one email; return the server's reply when it accepted it.

        Raises:
            TemporaryFailure, UncertainDelivery: try again later.
            PermanentFailure: do not try again.
            ServerUnavailable, ServerMisconfigured: neither this email nor any other can be sent.
        """

    def prepare(self, message: RenderedEmail) -> None:
        """Name the email that will be sent after the one that `send` is called with next.

        It saves a wait: the envelope of this email may then be sent along with the end of that one, or right after
        that one was accepted. It is a hint without any result. What the server says to the
        envelope is reported by `send` for this email, and its content leaves only then. If `send` is never called
        for it, or for another email first, the envelope is withdrawn. The hint is for one call of `send` only.
        """

    def send_ahead(self) -> None:
        """Send more of the envelope that `prepare` named, while its caller has to wait for something else.

        Like `prepare` it has no result, and raises nothing about the email or the server.
        """

    def close(self) -> None:
        """Close the connection, if one is open."""


@dataclass(frozen=True, kw_only=True)
class BounceReport:
    """An email service's report on one address, not normalised; `at` is the time of the event, if given."""

    address: str = field(repr=False)
    reason: SuppressionReason
    at: datetime.datetime | None = None


class InvalidWebhook(Exception):
    """A request body is not in the email service's format."""


class WebhookUnavailable(Exception):
    """A webhook may be repeated: its service did not answer a request that is needed to check or confirm it."""


@dataclass(frozen=True, kw_only=True)
class WebhookProof:
    """A proof that a webhook is authentic, which does not cover the report: it counts for the first report only.

    `id` names the proof, `report_hash` is the SHA-256 of the report, and the proof is refused after `expires_at`.
    """

    id: bytes
    report_hash: bytes
    expires_at: datetime.datetime


class EmailWebhookProvider(Protocol):
    """Authenticates and parses the webhooks of one email service: bounces, complaints and unsubscribes.

    `name` is the last segment of the webhook's path. `www_authenticate` is the WWW-Authenticate header of a 401
    response, if the service authenticates by HTTP.
    """

    name: str
    www_authenticate: str | None = None

    def is_authentic(self, headers: Mapping[str, str], body: bytes, now: datetime.datetime, /) -> bool:
        """Whether the service sent this request, by its documented credentials; compares in constant time.

        Header names are in the case of `Content-Type`.

        Raises:
            InvalidWebhook: the credentials are in the body, which cannot be parsed.
            WebhookUnavailable: what is needed to check the credentials cannot be fetched.
        """
        ...

    def proof(self, _body: bytes, /) -> WebhookProof | None:
        """Return the proof in a body that `is_authentic`; None if the credentials cover the whole request."""
        return None

    def confirm_subscription(self, _body: bytes, /) -> None:
        """Confirm what an authentic body asks for before the service sends any report; by default, nothing.

        Raises:
            WebhookUnavailable: the service did not take the confirmation.
        """
        return

    def parse(self, body: bytes) -> list[BounceReport]:
        """Return the addresses to suppress; an event about anything else yields none.

        Raises:
            InvalidWebhook: the body is not in this service's format.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class AbuseReport:
    """A reader's complaint that a mailbox provider forwarded, with the signed tokens in the email of ours, if any.

    Anyone can send such a report, so only the tokens tell whose email it is about.
    """

    reminder_token: str | None = field(repr=False)
    pledge_token: str | None = field(repr=False)


class MailboxUnavailable(Exception):
    """The mailbox cannot be read now; the message has nothing personal in it."""


class MailboxRefused(MailboxUnavailable):
    """The mailbox does not exist, or its server rejects our login, so only a person can help."""


@dataclass(frozen=True, kw_only=True)
class MailboxMessage:
    """An unread message of a mailbox: the abuse report in it, if any. After `mark_read` it is not read again."""

    report: AbuseReport | None
    mark_read: Callable[[], None]


class ReportMailbox(Protocol):
    """A mailbox to which abuse reports are sent."""

    def unread_messages(self) -> Generator[MailboxMessage]:
        """Yield the unread messages, oldest first; closing the generator disconnects.

        Raises:
            MailboxRefused: there is no such mailbox for us.
            MailboxUnavailable: the server is away, or slow to answer.
        """
        ...
