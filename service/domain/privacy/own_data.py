"""What a supporter may download of their data (GDPR, articles 15 and 20), section by section.

A section is one table's rows about one supporter, or what is derived from such rows. `EXCLUDED_COLUMNS` and
`EXCLUDED_TABLES` say why the rest of the database is left out; a test fails for what is neither here nor there.
"""

import datetime
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, Select, func, or_, select, type_coerce, union
from sqlalchemy.orm import Session

from schemas.enums import PaymentStatus, RefundStatus
from service.db.models.campaign import Campaign
from service.db.models.customer import CustomerUpdate
from service.db.models.email import OutgoingEmail, Suppression
from service.db.models.email_change import EMAIL_CHANGE_TYPE, EmailChange
from service.db.models.erasure import ErasureRequest
from service.db.models.payment import Dispute, FraudWarning, GatewayEvent, Payment, Refund
from service.db.models.pledge import FormerSubscription, Pledge, PledgeStatusChange
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.db.models.sign_in import SignIn
from service.db.models.supporter import EMAIL_TYPE, Supporter
from service.db.types import EncryptedText
from service.domain.email.suppression import lookup_hashes
from service.domain.money import Money, format_major_units
from service.domain.notifications.receipts import receipt_number
from service.domain.supporters import get_address

BATCH_SIZE: Final = 500
MINOR: Final = "_minor"
UNREADABLE: Final = "(no key opens this address)"
EMAIL: Final = EncryptedText(EMAIL_TYPE.context, on_decrypt_error=UNREADABLE)
CHANGED_EMAIL: Final = EncryptedText(EMAIL_CHANGE_TYPE.context, on_decrypt_error=UNREADABLE)


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The supporter whose data it is, and the hashes under which their address may be suppressed."""

    id: uuid.UUID
    suppression_hashes: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of the data: the names of the values in a record, and the rows that become records."""

    name: str
    columns: tuple[str, ...]
    query: Callable[[Owner], Select[Any]]
    to_values: Callable[[Row[Any]], Iterable[Any]]

    def records(self, session: Session, owner: Owner) -> Iterator[tuple[Any, ...]]:
        """Yield the values of each record as text, numbers, booleans and None; `BATCH_SIZE` rows are in memory."""
        for row in session.execute(self.query(owner).execution_options(yield_per=BATCH_SIZE)):
            yield tuple(map(_plain, self.to_values(row)))


def find_owner(session: Session, supporter_id: uuid.UUID) -> Owner:
    """Return the supporter with this id as the owner of their data."""
    address = get_address(session, supporter_id)
    hashes = () if address is None else tuple(lookup_hashes(session, address))
    return Owner(id=supporter_id, suppression_hashes=hashes)


def _section(name: str, columns: Sequence[Any], rows: Callable[[Select[Any], Owner], Select[Any]]) -> Section:
    """Return the section that has these columns; `rows` adds joins, conditions and the order to their query.

    An amount in minor units has the decimal number before it, by the `currency` of its row.
    """
    names = [column.key for column in columns]
    return Section(
        name=name,
        columns=tuple(column for label in names for column in _column_names(label)),
        query=lambda owner: rows(select(*columns), owner),
        to_values=lambda row: _with_decimals(row, names),
    )


def _column_names(label: str) -> tuple[str, ...]:
    return (label.removesuffix(MINOR), label) if label.endswith(MINOR) else (label,)


def _with_decimals(row: Row[Any], names: Iterable[str]) -> Iterator[Any]:
    for name, value in zip(names, row, strict=True):
        if name.endswith(MINOR):
            yield None if value is None else format_major_units(Money(value, row.currency))
        yield value


def _plain(value: Any) -> Any:
    """Return an instant as in RFC 3339, and what JSON and CSV have no type for as text."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID | StrEnum) else value


def _pledge_ids(owner: Owner) -> Select[Any]:
    return select(Pledge.id).where(Pledge.supporter_id == owner.id)


def _reminder_ids(owner: Owner) -> Select[Any]:
    return select(Reminder.id).where(Reminder.supporter_id == owner.id)


def _payment_ids(owner: Owner) -> Select[Any]:
    return select(Payment.id).where(Payment.pledge_id.in_(_pledge_ids(owner)))


def _email_ids(owner: Owner) -> Select[Any]:
    """Return the ids of the supporter's emails; a union, so that each part uses its own index."""
    parts = (
        OutgoingEmail.supporter_id == owner.id,
        OutgoingEmail.pledge_id.in_(_pledge_ids(owner)),
        OutgoingEmail.reminder_id.in_(_reminder_ids(owner)),
    )
    return select(union(*(select(OutgoingEmail.id).where(part) for part in parts)).subquery())


def _latest_lang(table: type[Pledge | Reminder]) -> ColumnElement[Any]:
    query = select(table.lang).where(table.supporter_id == Supporter.id, table.lang.is_not(None))
    return query.order_by(table.id.desc()).limit(1).scalar_subquery()


def _receipts(owner: Owner) -> Select[Any]:
    refunded = (
        select(func.coalesce(func.sum(Refund.amount_minor), 0))
        .where(Refund.payment_id == Payment.id, Refund.status == RefundStatus.SUCCEEDED)
        .scalar_subquery()
    )
    withheld = (
        select(func.coalesce(func.sum(Dispute.withheld_minor), 0))
        .where(Dispute.payment_id == Payment.id)
        .scalar_subquery()
    )
    return (
        select(
            Payment.id,
            Payment.paid_at,
            Payment.amount_minor,
            Payment.currency,
            refunded.label("refunded_minor"),
            withheld.label("withheld_minor"),
            Campaign.timezone,
            func.coalesce(Campaign.legal_name, Campaign.name).label("payee"),
            Campaign.tax_line,
        )
        .join(Pledge, Pledge.id == Payment.pledge_id)
        .join(Campaign, Campaign.id == Pledge.campaign_id)
        .where(Pledge.supporter_id == owner.id, Payment.status != PaymentStatus.FAILED)
        .order_by(Payment.paid_at, Payment.id)
    )


RECEIPT_AMOUNTS = ("paid", "refunded", "withheld", "net")


def _receipt_values(row: Row[Any]) -> Iterator[Any]:
    paid_on = row.paid_at.astimezone(ZoneInfo(row.timezone)).date()
    yield from (receipt_number(row.id, paid_on.year), row.id, paid_on)
    # A database sums integers to a decimal number.
    refunded, withheld = int(row.refunded_minor), int(row.withheld_minor)
    for amount_minor in (row.amount_minor, refunded, withheld, row.amount_minor - refunded - withheld):
        yield from (format_major_units(Money(amount_minor, row.currency)), amount_minor)
    yield from (row.currency, row.payee, row.tax_line)


SECTIONS: Final = (
    _section(
        "profile",
        (
            Supporter.id,
            type_coerce(Supporter.email, EMAIL).label("email"),
            func.coalesce(_latest_lang(Pledge), _latest_lang(Reminder)).label("language"),
            Supporter.created_at,
            Supporter.email_changed_at,
            Supporter.yearly_receipts,
        ),
        lambda query, owner: query.where(Supporter.id == owner.id),
    ),
    _section(
        "pledges",
        (
            Pledge.id,
            Campaign.slug.label("campaign"),
            Pledge.status,
            Pledge.frequency,
            Pledge.amount_minor,
            Pledge.fees_minor,
            Pledge.pending_amount_minor,
            Pledge.pending_frequency,
            Pledge.currency,
            Pledge.created_at,
            Pledge.checkout_completed_at,
            Pledge.renews_at,
            Pledge.cancel_requested_at,
            Pledge.cancel_at,
            Pledge.ended_at,
            Pledge.is_paused,
            Pledge.resumes_at,
            Pledge.anchored_at,
            Pledge.pause_requested_at,
            Pledge.pending_resumes_at,
            Pledge.payment_bounced_at,
            Pledge.settled_outside_at,
            Pledge.open_invoice_at,
            Pledge.action_required_at,
            Pledge.invoice_retry_requested_at,
            Pledge.payment_method_changed_at,
            Pledge.subscription_status_at,
            Pledge.lang,
            Pledge.page_url,
            Pledge.return_url,
            Pledge.variant,
            Pledge.reminder_id,
            Pledge.gateway,
            Pledge.gateway_reference,
            Pledge.subscription_reference,
            Pledge.customer_reference,
            Pledge.open_invoice_reference,
        ),
        lambda query, owner: (
            query.join(Campaign, Campaign.id == Pledge.campaign_id)
            .where(Pledge.supporter_id == owner.id)
            .order_by(Pledge.id)
        ),
    ),
    _section(
        "payments",
        (
            Payment.id,
            Payment.pledge_id,
            Payment.status,
            Payment.amount_minor,
            Payment.currency,
            Payment.frequency,
            Payment.is_provisional,
            Payment.paid_at,
            Payment.method_kind,
            Payment.method_brand,
            Payment.method_last4,
            Payment.gateway,
            Payment.gateway_reference,
        ),
        lambda query, owner: query.where(Payment.pledge_id.in_(_pledge_ids(owner))).order_by(Payment.id),
    ),
    _section(
        "refunds",
        (
            Refund.id,
            Refund.payment_id,
            Refund.status,
            Refund.amount_minor,
            Refund.currency,
            Refund.reason,
            Refund.created_at,
            Refund.ended_at,
            Refund.gateway_reference,
        ),
        lambda query, owner: query.where(Refund.payment_id.in_(_payment_ids(owner))).order_by(Refund.id),
    ),
    _section(
        "disputes",
        (
            Dispute.id,
            Dispute.payment_id,
            Dispute.status,
            Dispute.amount_minor,
            Dispute.withheld_minor,
            Dispute.currency,
            Dispute.reason,
            Dispute.opened_at,
            Dispute.status_at,
            Dispute.gateway_reference,
        ),
        lambda query, owner: query.where(Dispute.payment_id.in_(_payment_ids(owner))).order_by(Dispute.id),
    ),
    _section(
        "fraud_warnings",
        (
            FraudWarning.id,
            FraudWarning.payment_id,
            FraudWarning.kind,
            FraudWarning.warned_at,
            FraudWarning.gateway_reference,
        ),
        lambda query, owner: query.where(FraudWarning.payment_id.in_(_payment_ids(owner))).order_by(
            FraudWarning.id
        ),
    ),
    Section(
        name="receipts",
        columns=(
            "number",
            "payment_id",
            "paid_on",
            *(column for amount in RECEIPT_AMOUNTS for column in (amount, amount + MINOR)),
            "currency",
            "payee",
            "tax_line",
        ),
        query=_receipts,
        to_values=_receipt_values,
    ),
    _section(
        "reminders",
        (
            Reminder.id,
            Campaign.slug.label("campaign"),
            Reminder.status,
            Reminder.occurrence,
            Reminder.months,
            Reminder.every_months,
            Reminder.due_on,
            Reminder.due_at,
            Reminder.timezone,
            Reminder.frequency,
            Reminder.amount_minor,
            Reminder.currency,
            Reminder.page_url,
            Reminder.page_title,
            Reminder.lang,
            Reminder.consent_version,
            Reminder.asked_at,
            Reminder.awaits_confirmation,
            Reminder.confirmed_at,
            Reminder.sent_at,
            Reminder.reason,
        ),
        lambda query, owner: (
            query.join(Campaign, Campaign.id == Reminder.campaign_id)
            .where(Reminder.supporter_id == owner.id)
            .order_by(Reminder.id)
        ),
    ),
    _section(
        "consents",
        (
            Reminder.id.label("reminder_id"),
            Campaign.slug.label("campaign"),
            Reminder.consent_version,
            Reminder.asked_at.label("given_at"),
            Reminder.confirmed_at,
        ),
        lambda query, owner: (
            query.join(Campaign, Campaign.id == Reminder.campaign_id)
            .where(
                Reminder.supporter_id == owner.id,
                or_(Reminder.consent_version.is_not(None), Reminder.confirmed_at.is_not(None)),
            )
            .order_by(Reminder.id)
        ),
    ),
    _section(
        "emails",
        (
            OutgoingEmail.id,
            OutgoingEmail.kind,
            OutgoingEmail.status,
            OutgoingEmail.outcome,
            OutgoingEmail.reason,
            OutgoingEmail.created_at,
            OutgoingEmail.due_at,
            OutgoingEmail.started_at,
            OutgoingEmail.finished_at,
            OutgoingEmail.held_at,
            OutgoingEmail.attempts,
            OutgoingEmail.lang,
            OutgoingEmail.event_date,
            OutgoingEmail.pledge_id,
            OutgoingEmail.payment_id,
            OutgoingEmail.reminder_id,
            OutgoingEmail.occurrence,
            OutgoingEmail.sign_in_id,
            OutgoingEmail.email_change_id,
            OutgoingEmail.erasure_request_id,
        ),
        lambda query, owner: query.where(OutgoingEmail.id.in_(_email_ids(owner))).order_by(OutgoingEmail.id),
    ),
    _section(
        "stopped_emails",
        (Suppression.scope, Suppression.reason, Suppression.at),
        lambda query, owner: query.where(Suppression.email_hash.in_(owner.suppression_hashes)).order_by(
            Suppression.at
        ),
    ),
    _section(
        "sign_ins",
        (SignIn.id, SignIn.asked_at, SignIn.link_expires_at, SignIn.used_at, SignIn.session_expires_at),
        lambda query, owner: query.where(SignIn.supporter_id == owner.id).order_by(SignIn.id),
    ),
    _section(
        "address_changes",
        (
            EmailChange.id,
            type_coerce(EmailChange.old_email, CHANGED_EMAIL).label("old_email"),
            type_coerce(EmailChange.new_email, CHANGED_EMAIL).label("new_email"),
            EmailChange.requested_at,
            EmailChange.confirmed_at,
            EmailChange.undo_until,
        ),
        lambda query, owner: query.where(EmailChange.supporter_id == owner.id).order_by(EmailChange.id),
    ),
    _section(
        "deletion_requests",
        (ErasureRequest.id, ErasureRequest.requested_at),
        lambda query, owner: query.where(ErasureRequest.supporter_id == owner.id).order_by(ErasureRequest.id),
    ),
    _section(
        "pledge_changes",
        (
            PledgeStatusChange.id,
            PledgeStatusChange.pledge_id,
            PledgeStatusChange.event,
            PledgeStatusChange.from_status,
            PledgeStatusChange.to_status,
            PledgeStatusChange.at,
        ),
        lambda query, owner: query.where(PledgeStatusChange.pledge_id.in_(_pledge_ids(owner))).order_by(
            PledgeStatusChange.id
        ),
    ),
    _section(
        "reminder_changes",
        (
            ReminderStatusChange.id,
            ReminderStatusChange.reminder_id,
            ReminderStatusChange.occurrence,
            ReminderStatusChange.event,
            ReminderStatusChange.from_status,
            ReminderStatusChange.to_status,
            ReminderStatusChange.reason,
            ReminderStatusChange.at,
        ),
        lambda query, owner: query.where(ReminderStatusChange.reminder_id.in_(_reminder_ids(owner))).order_by(
            ReminderStatusChange.id
        ),
    ),
    _section(
        "earlier_subscriptions",
        (
            FormerSubscription.pledge_id,
            FormerSubscription.gateway,
            FormerSubscription.reference,
            FormerSubscription.replaced_at,
        ),
        lambda query, owner: query.where(FormerSubscription.pledge_id.in_(_pledge_ids(owner))).order_by(
            FormerSubscription.replaced_at
        ),
    ),
    _section(
        "provider_updates",
        (
            CustomerUpdate.id,
            CustomerUpdate.gateway,
            CustomerUpdate.customer_reference,
            CustomerUpdate.requested_at,
            CustomerUpdate.completed_at,
        ),
        lambda query, owner: query.where(CustomerUpdate.supporter_id == owner.id).order_by(CustomerUpdate.id),
    ),
    _section(
        "provider_messages",
        (
            GatewayEvent.id,
            GatewayEvent.pledge_id,
            GatewayEvent.kind,
            GatewayEvent.status,
            GatewayEvent.source,
            GatewayEvent.gateway,
            GatewayEvent.reference,
            GatewayEvent.occurred_at,
            GatewayEvent.received_at,
            GatewayEvent.applied_at,
            GatewayEvent.redacted_at,
        ),
        lambda query, owner: query.where(GatewayEvent.pledge_id.in_(_pledge_ids(owner))).order_by(GatewayEvent.id),
    ),
)

_HASH = "A hash by which the service finds a row. It says nothing that the value itself does not."
_KEY = "The hash of a link or of a session, which are keys."
_LINK = "A link with which anyone who opens it can act."
_OWNER = "The supporter whose data it is; `profile` has their id."
_SLUG = "The section has the campaign's name in URLs instead."
_WORK = "How the service's workers share and repeat their work."
_DIGEST = "A digest that puts the payment provider's reports in order."

EXCLUDED_COLUMNS: Final = {
    "supporters": {"email_hash": _HASH, "hash_version": _HASH},
    "pledges": {
        "campaign_id": _SLUG,
        "supporter_id": _OWNER,
        "checkout_url": _LINK,
        "open_invoice_url": _LINK,
        "subscription_state": _DIGEST,
        "previous_subscription_state": _DIGEST,
        "erased_at": "A pledge that has it has no supporter.",
    },
    "refunds": {"request_hash": "The hash of a key of staff.", "locked_until": _WORK},
    "reminders": {"campaign_id": _SLUG, "supporter_id": _OWNER},
    "emails": {
        "supporter_id": _OWNER,
        "dedup_key": "The occasion of the email, which the ids beside it name.",
        "priority": _WORK,
        "leased_by": _WORK,
        "leased_until": _WORK,
        "lease_number": _WORK,
        "subject": "Only emails to staff have it.",
        "body": "Only emails to staff have it.",
        "smtp_reply": "The words of a mail server; `outcome` says what they mean.",
    },
    "suppressions": {"email_hash": _HASH},
    "sign_ins": {"supporter_id": _OWNER, "link_hash": _KEY, "session_hash": _KEY},
    "email_changes": {"supporter_id": _OWNER, "new_email_hash": _HASH, "old_email_hash": _HASH},
    "erasure_requests": {"supporter_id": _OWNER},
    "customer_updates": {"supporter_id": _OWNER},
    "gateway_events": {
        "payload": "The provider's own message, with links that anyone can act with. The other sections"
        " have what it reports, and the provider gives readers its own data.",
        "addresses_hashed": _WORK,
        "reason": "A note for staff, which may be about another supporter.",
        "attempts": _WORK,
        "next_attempt_at": _WORK,
    },
}
"""Why columns of the exported tables are left out."""

_OF_THE_NEWSROOM = "The newsroom's own, and the same for all readers."
_OF_THE_SERVICE = "How the service itself runs, nothing about readers."

EXCLUDED_TABLES: Final = {
    "audit_log": "What staff did. It names staff, and no reader by name or address.",
    "balance_cursors": _OF_THE_SERVICE,
    "balance_transactions": "The newsroom's balance at its payment provider: fees and rates of exchange.",
    "brand_images": _OF_THE_NEWSROOM,
    "campaigns": _OF_THE_NEWSROOM,
    "dev_outbox": "Emails that were not sent, on a developer's machine.",
    "email_counters": _OF_THE_SERVICE,
    "email_send_rate": _OF_THE_SERVICE,
    "erased_customers": "Who is being erased is signed out.",
    "erasures": "Who is being erased is signed out.",
    "gateway_event_addresses": _HASH,
    "heartbeats": _OF_THE_SERVICE,
    "idempotency_keys": "Hashes of a client's request, by which it is not carried out twice.",
    "installations": _OF_THE_SERVICE,
    "job_runs": _OF_THE_SERVICE,
    "key_canaries": _OF_THE_SERVICE,
    "mail_server_capabilities": _OF_THE_SERVICE,
    "mailbox_limits": "Counts of requests under the hash of a mailbox, deleted after a month.",
    "pledge_options": _OF_THE_NEWSROOM,
    "reconciliations": _OF_THE_SERVICE,
    "schema_compatibility": _OF_THE_SERVICE,
    "staff_tokens": "The newsroom's staff.",
    "used_webhook_proofs": _OF_THE_SERVICE,
}
"""Why whole tables are left out."""
