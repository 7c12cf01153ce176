"""Builds the emails of claimed notifications, a batch at a time, and tells which are not to be sent."""

import dataclasses
import datetime
from collections.abc import Collection, Sequence
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, EmailKind, Frequency, SuppressionReason
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.db.models.email_change import EMAIL_CHANGE_TYPE
from service.db.models.pledge import Pledge
from service.db.models.supporter import EMAIL_TYPE
from service.db.session import session_keyring
from service.domain.campaigns.brand import email_brand
from service.domain.campaigns.definitions import text_overrides
from service.domain.email.addresses import fold_address
from service.domain.email.outbox import enqueue_email
from service.domain.email.queue import EmailClaim
from service.domain.email.rendering import (
    EmailNotBuildable,
    PreparedEmails,
    UnknownAddressKey,
    UnsentEmail,
    decrypt_address,
)
from service.domain.email.status import EmailEvent
from service.domain.email.suppression import Recipient, find_suppressed
from service.domain.email_changes import email_change_token, undo_token
from service.domain.erasure_requests import erasure_token
from service.domain.ledger.totals import net_amount
from service.domain.money import Money
from service.domain.notifications.context import (
    EMAIL_CHANGE_KINDS,
    NotificationContext,
    load_contexts,
    skip_reason,
)
from service.domain.notifications.receipts import load_receipt, receipt_number
from service.domain.pledges.attribution import giver_token
from service.domain.pledges.links import pledge_token
from service.domain.pledges.open_invoices import needs_confirmation, open_invoice_url
from service.domain.pledges.pledges import total_charge
from service.domain.pledges.renewals import SANDBOX_GATEWAY, next_payment_at, started_at
from service.domain.pledges.status import RUNNING_STATUSES
from service.domain.ports import AlertEmail, NotificationEmail
from service.domain.sign_in import create_magic_link_token
from service.domain.urls import UrlBuilder

SUPPRESSED = "suppressed"
# A reader who unsubscribed still gets receipts, and the notifications that the law requires.
IGNORED_SUPPRESSIONS = (SuppressionReason.UNSUBSCRIBE,)
RECIPIENT_SEPARATOR = "#recipient-"
NO_ALERT_RECIPIENT = "no_alert_email"
NOT_A_SANDBOX_RECIPIENT = "not_in_sandbox_recipients"


def build_notification_emails(
    session: Session,
    claims: Sequence[EmailClaim],
    prepared: PreparedEmails,
    *,
    urls: UrlBuilder,
    now: datetime.datetime,
    alert_recipients: Sequence[str] = (),
    sandbox_recipients: Collection[str] | None = None,
) -> None:
    """Add the emails for these claims to `prepared`, without those whose lease was lost meanwhile.

    A notification that is no longer relevant, has no recipient or is suppressed is skipped. One whose row cannot
    be read or rendered fails with a reason, and does not affect the others. Sign-in links are created here.

    Anyone may name anyone's address in the sandbox, so an email about a pledge there is skipped unless it goes to
    one of `sandbox_recipients`; None is for a mailer that sends nothing.
    """
    allowed = None if sandbox_recipients is None else {fold_address(address) for address in sandbox_recipients}
    claims_by_id = {claim.email_id: claim for claim in claims}
    sendable: list[tuple[EmailClaim, NotificationContext, Campaign, str]] = []
    for context in load_contexts(session, claims_by_id):
        claim = claims_by_id[context.notification.id]
        try:
            if context.notification.outcome == DeliveryOutcome.ACCEPTED:
                # An earlier worker recorded the acceptance after its lease had expired.
                prepared.unsent.append(UnsentEmail(claim, EmailEvent.DELIVER, None, "sent"))
            elif context.notification.kind == EmailKind.ALERT:
                alert = _alert(session, context.notification, alert_recipients, urls=urls)
                if alert is None:
                    prepared.skip(claim, NO_ALERT_RECIPIENT)
                else:
                    prepared.emails.append((claim, alert))
            elif (reason := skip_reason(session, context, now=now)) is not None:
                prepared.skip(claim, reason)
            else:
                sendable.append((claim, context, *_decrypt(session, context)))
        except UnknownAddressKey:
            prepared.wait_for_key(claim, context.notification.reason, now=now)
        except Exception as error:  # noqa: BLE001 - one bad row must not stop the batch
            prepared.fail(claim, error)
    suppressed = find_suppressed(
        session,
        [
            Recipient(claim.email_id, to, campaign.slug, context.notification.created_at)
            for claim, context, campaign, to in sendable
        ],
        ignoring=IGNORED_SUPPRESSIONS,
    )
    for claim, context, campaign, to in sendable:
        try:
            if claim.email_id in suppressed:
                prepared.skip(claim, f"{SUPPRESSED}: {suppressed[claim.email_id]}", is_suppressed=True)
            elif allowed is not None and _is_of_sandbox(context) and fold_address(to) not in allowed:
                prepared.skip(claim, NOT_A_SANDBOX_RECIPIENT)
            else:
                email = build_notification_email(session, context, campaign, to, urls=urls, now=now)
                prepared.emails.append((claim, email))
        except Exception as error:  # noqa: BLE001 - one bad row must not stop the batch
            prepared.fail(claim, error)


def _is_of_sandbox(context: NotificationContext) -> bool:
    return context.pledge is not None and context.pledge.gateway == SANDBOX_GATEWAY


def _decrypt(session: Session, context: NotificationContext) -> tuple[Campaign, str]:
    """Return the campaign and the decrypted address.

    Raises:
        EmailNotBuildable: one of them is missing, or the address was damaged.
        UnknownAddressKey: this process lacks the key of the address.
    """
    if context.campaign is None:
        raise EmailNotBuildable("its campaign was deleted")
    if context.encrypted_email is None:
        raise EmailNotBuildable("its reader was deleted")
    is_change = context.notification.kind in EMAIL_CHANGE_KINDS
    address = decrypt_address(
        context.encrypted_email,
        session_keyring(session),
        column_type=EMAIL_CHANGE_TYPE if is_change else EMAIL_TYPE,
    )
    return context.campaign, address


def build_notification_email(
    session: Session,
    context: NotificationContext,
    campaign: Campaign,
    to: str,
    *,
    urls: UrlBuilder,
    now: datetime.datetime,
) -> NotificationEmail:
    """Return the email to this address. A sign-in link is created here, and only its hash is stored.

    Raises:
        EmailNotBuildable: the pledge or sign-in request was deleted.
    """
    notification, pledge = context.notification, context.pledge
    base = NotificationEmail(
        kind=notification.kind,
        message_id=f"<notice-{notification.id}@{urls.host}>",
        to=to,
        lang=notification.lang,
        campaign_name=campaign.name,
        texts=text_overrides(campaign, notification.lang),
        frequency=None,
        money=None,
        event_date=notification.event_date,
        page_url=urls.account_url(),
        account_url=urls.account_url(),
        brand=email_brand(campaign, urls),
        campaign_lang=campaign.lang,
    )
    if notification.kind == EmailKind.SIGN_IN:
        return _sign_in(session, context, base, urls=urls, now=now)
    if notification.kind == EmailKind.EMAIL_CHANGE:
        return _email_change(session, context, base, urls=urls)
    if notification.kind == EmailKind.EMAIL_CHANGED:
        return _email_changed(session, context, campaign, base, urls=urls, now=now)
    if notification.kind == EmailKind.ERASURE:
        return _erasure(session, context, base, urls=urls)
    if notification.kind == EmailKind.YEARLY_RECEIPT:
        return dataclasses.replace(base, page_url=urls.statements_url())
    if pledge is None:
        raise EmailNotBuildable("its pledge was deleted")
    base = dataclasses.replace(base, frequency=pledge.frequency)
    keyring = session_keyring(session)
    own_page = urls.manage_pledge_url(pledge_token(keyring, pledge, now=now))
    support_page = urls.support_page_url(
        campaign,
        pledge.frequency,
        pledge.amount_minor,
        giver_token(keyring, pledge, now=now),
        currency=pledge.currency,
    )
    match notification.kind:
        case EmailKind.RECEIPT:
            return _receipt(session, context, pledge, base, own_page)
        case EmailKind.PAYMENT_FAILED:
            if pledge.frequency == Frequency.ONCE:
                return dataclasses.replace(base, money=total_charge(pledge), page_url=support_page)
            return _payment_failed(context, pledge, base, own_page, now=now)
        case EmailKind.CHANGED | EmailKind.RESUMED:
            next_at = next_payment_at(pledge, now=now)
            return dataclasses.replace(
                base,
                money=total_charge(pledge),
                event_date=None if next_at is None else _local_date(next_at, campaign),
                page_url=own_page,
            )
        case EmailKind.RENEWAL | EmailKind.PAUSED | EmailKind.RESUMING | EmailKind.PAUSE_MISSED:
            return dataclasses.replace(base, money=total_charge(pledge), page_url=own_page)
        case EmailKind.REFUND:
            return _refund(session, context, campaign, pledge, base, own_page)
        case EmailKind.MONTHLY_YEARLY:
            return dataclasses.replace(
                base,
                money=total_charge(pledge),
                event_date=_local_date(next_payment_at(pledge, now=now) or now, campaign),
                since=_local_date(started_at(pledge), campaign),
                page_url=own_page,
            )
        case _:
            return dataclasses.replace(
                base,
                is_unpaid=context.is_unpaid,
                has_transfer_on_its_way=context.has_transfer_on_its_way,
                page_url=support_page,
            )


def _sign_in(
    session: Session,
    context: NotificationContext,
    base: NotificationEmail,
    *,
    urls: UrlBuilder,
    now: datetime.datetime,
) -> NotificationEmail:
    notification = context.notification
    if context.sign_in is None:
        raise EmailNotBuildable("its sign-in request was deleted")
    return dataclasses.replace(
        base,
        # Each attempt has its own link, so it is another email and needs its own Message-ID.
        message_id=f"<notice-{notification.id}-{notification.lease_number}@{urls.host}>",
        page_url=urls.sign_in_url(create_magic_link_token(session, context.sign_in, now)),
    )


def _email_change(
    session: Session, context: NotificationContext, base: NotificationEmail, *, urls: UrlBuilder
) -> NotificationEmail:
    change = context.email_change
    if change is None:
        raise EmailNotBuildable("its change of address was deleted")
    token = email_change_token(session_keyring(session), change.id, change.requested_at)
    return dataclasses.replace(base, page_url=urls.confirm_email_change_url(token))


def _email_changed(
    session: Session,
    context: NotificationContext,
    campaign: Campaign,
    base: NotificationEmail,
    *,
    urls: UrlBuilder,
    now: datetime.datetime,
) -> NotificationEmail:
    """Return the email to the old address; its button undoes the change, as long as that is possible."""
    change = context.email_change
    if change is None or change.undo_until is None or change.undo_until <= now:
        return base
    token = undo_token(session_keyring(session), change.id, change.undo_until)
    return dataclasses.replace(
        base,
        page_url=urls.undo_email_change_url(token),
        event_date=_local_date(change.undo_until, campaign),
        can_be_undone=True,
    )


def _erasure(
    session: Session, context: NotificationContext, base: NotificationEmail, *, urls: UrlBuilder
) -> NotificationEmail:
    asked = context.erasure_request
    if asked is None:
        raise EmailNotBuildable("its request for an erasure was deleted")
    token = erasure_token(session_keyring(session), asked.id, asked.requested_at)
    return dataclasses.replace(base, page_url=urls.confirm_erasure_url(token))


def _alert(
    session: Session, notification: OutgoingEmail, recipients: Sequence[str], *, urls: UrlBuilder
) -> AlertEmail | None:
    """Return the email to one of the recipients, or None if there is no such recipient.

    The row that was enqueued is for the first recipient. It enqueues a row for each of the others, with the number
    of the recipient at the end of its `dedup_key`.
    """
    key, _, suffix = notification.dedup_key.partition(RECIPIENT_SEPARATOR)
    number = int(suffix or 0)
    if number >= len(recipients):
        return None
    subject, body = notification.subject or "", notification.body or ""
    if number == 0:
        for other in range(1, len(recipients)):
            enqueue_email(
                session,
                EmailKind.ALERT,
                f"{key}{RECIPIENT_SEPARATOR}{other}",
                lang=notification.lang,
                now=notification.created_at,
                subject=subject,
                body=body,
            )
    return AlertEmail(
        message_id=f"<notice-{notification.id}@{urls.host}>",
        to=recipients[number],
        subject=subject,
        paragraphs=(*body.split("\n\n"), f"Sent by Mainstay at {urls.host}, because ALERT_EMAIL names you."),
    )


def _receipt(
    session: Session, context: NotificationContext, pledge: Pledge, base: NotificationEmail, own_page: str
) -> NotificationEmail:
    if context.payment is None:
        raise EmailNotBuildable("its payment was deleted")
    receipt = load_receipt(session, context.payment, pledge)
    is_recurring = pledge.status in RUNNING_STATUSES
    return dataclasses.replace(
        base,
        frequency=receipt.frequency,
        money=receipt.paid,
        event_date=receipt.paid_on,
        page_url=own_page if is_recurring else base.account_url,
        links_to_pledge=is_recurring,
        fees=receipt.fees,
        receipt_number=receipt.number,
        payment_number=receipt.payment_number,
        method=receipt.method,
        legal_name=receipt.payee,
        tax_line=receipt.tax_line,
        # One that is sent again may be about a payment of which something came back since.
        net=receipt.net if receipt.net != receipt.paid else None,
    )


def _refund(
    session: Session,
    context: NotificationContext,
    campaign: Campaign,
    pledge: Pledge,
    base: NotificationEmail,
    own_page: str,
) -> NotificationEmail:
    payment, refund = context.payment, context.refund
    if payment is None or refund is None:
        raise EmailNotBuildable("its payment was deleted")
    paid_on = _local_date(payment.paid_at, campaign)
    is_recurring = pledge.status in RUNNING_STATUSES
    return dataclasses.replace(
        base,
        money=Money(refund.amount_minor, refund.currency),
        paid=Money(payment.amount_minor, payment.currency),
        net=Money(net_amount(session, payment), payment.currency),
        event_date=paid_on,
        receipt_number=receipt_number(payment.id, paid_on.year),
        page_url=own_page if is_recurring else base.account_url,
        links_to_pledge=is_recurring,
    )


def _local_date(at: datetime.datetime, campaign: Campaign) -> datetime.date:
    return at.astimezone(ZoneInfo(campaign.timezone)).date()


def _payment_failed(
    context: NotificationContext, pledge: Pledge, base: NotificationEmail, own_page: str, *, now: datetime.datetime
) -> NotificationEmail:
    invoice_url, event_date = open_invoice_url(pledge), context.notification.event_date
    # The date of the next attempt is left out once it has passed.
    is_ahead = event_date is not None and event_date >= context.today(now)
    return dataclasses.replace(
        base,
        money=total_charge(pledge),
        event_date=event_date if is_ahead else None,
        dunning_number=_dunning_number(context.notification.dedup_key),
        page_url=invoice_url if invoice_url and needs_confirmation(pledge) else own_page,
        invoice_url=invoice_url,
        needs_confirmation=invoice_url is not None and needs_confirmation(pledge),
    )


def _dunning_number(about: str) -> int:
    """Return the number of this email about one invoice, which follows the invoice's id: `in_1#2`."""
    _, _, number = about.rpartition("#")
    return int(number) if number.isascii() and number.isdigit() else 1
