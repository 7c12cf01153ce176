"""What each kind of notice tells: amounts, dates and where its button leads."""

import dataclasses
import datetime
from collections import Counter
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, NotificationKind, SuppressionReason
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.domain.campaigns.definitions import text_overrides
from service.domain.email.counters import increment_counters
from service.domain.email.rendering import EmailNotBuildable, PreparedEmails, decrypt_address, failure_reason
from service.domain.email.status import NotificationEvent, transition_notification
from service.domain.email.suppression import Recipient, find_suppressed
from service.domain.money import Money
from service.domain.notifications.context import (
    RECURRING_STATUSES,
    NotificationContext,
    load_contexts,
    skip_reason,
)
from service.domain.notifications.queue import NotificationClaim
from service.domain.notifications.receipts import receipt_number
from service.domain.pledges.links import pledge_token
from service.domain.pledges.pledges import total_charge
from service.domain.ports import NotificationEmail
from service.domain.sign_in import create_magic_link_token
from service.domain.supporters import session_keyring
from service.domain.urls import UrlBuilder


def build_notification_email(
    session: Session,
    case: NotificationContext,
    campaign: Campaign,
    to: str,
    *,
    links: UrlBuilder,
    now: datetime.datetime,
) -> NotificationEmail:
    """Return the letter to this address; a link to sign in is made now, and only its hash is kept.

    Raises:
        Unwritable: something that it is about was deleted.
    """
    notification, pledge = case.notification, case.pledge
    base = NotificationEmail(
        kind=notification.kind,
        message_id=f"<notice-{notification.id}@{links.host}>",
        to=to,
        lang=notification.lang,
        campaign_name=campaign.name,
        texts=text_overrides(campaign, notification.lang),
        frequency=None,
        money=None,
        event_date=notification.event_date,
        page_url=links.account_url(),
        account_url=links.account_url(),
    )
    if notification.kind == NotificationKind.SIGN_IN:
        return _sign_in(session, case, base, links=links, now=now)
    if pledge is None:
        raise EmailNotBuildable("its pledge was deleted")
    base = dataclasses.replace(base, frequency=pledge.frequency)
    own_page = links.manage_pledge_url(pledge_token(session_keyring(session), pledge, now=now))
    match notification.kind:
        case NotificationKind.RECEIPT:
            return _receipt(case, campaign, pledge, base, own_page)
        case NotificationKind.PAYMENT_FAILED:
            # A day of the next try that is over is not named any more.
            is_ahead = notification.event_date is not None and notification.event_date >= case.today(now)
            return dataclasses.replace(
                base,
                money=total_charge(pledge),
                event_date=notification.event_date if is_ahead else None,
                dunning_number=_dunning_number(notification.dedup_key),
                page_url=own_page,
            )
        case NotificationKind.RENEWAL:
            return dataclasses.replace(base, money=total_charge(pledge), page_url=own_page)
        case _:
            begin_again = links.support_page_url(
                campaign, pledge.frequency, pledge.amount_minor, currency=pledge.currency
            )
            return dataclasses.replace(base, is_unpaid=case.is_unpaid, page_url=begin_again)


def _sign_in(
    session: Session,
    case: NotificationContext,
    base: NotificationEmail,
    *,
    links: UrlBuilder,
    now: datetime.datetime,
) -> NotificationEmail:
    notification = case.notification
    if case.sign_in is None:
        raise EmailNotBuildable("its wish to sign in was forgotten")
    return dataclasses.replace(
        base,
        # Each try has a link of its own and is another mail, which no mail program must take for the one before.
        message_id=f"<notice-{notification.id}-{notification.lease_number}@{links.host}>",
        page_url=links.sign_in_url(create_magic_link_token(session, case.sign_in, now)),
    )


def _receipt(
    case: NotificationContext, campaign: Campaign, pledge: Pledge, base: NotificationEmail, own_page: str
) -> NotificationEmail:
    payment = case.payment
    if payment is None:
        raise EmailNotBuildable("its payment was deleted")
    paid_on = payment.paid_at.astimezone(ZoneInfo(campaign.timezone)).date()
    money = Money(payment.amount_minor, payment.currency)
    goes_on = pledge.status in RECURRING_STATUSES
    # Of an amount that was changed since, what part of it covered the fees is not known any more.
    knows_fees = pledge.fees_minor > 0 and money == total_charge(pledge)
    return dataclasses.replace(
        base,
        money=money,
        event_date=paid_on,
        page_url=own_page if goes_on else base.account_url,
        links_to_pledge=goes_on,
        fees=Money(pledge.fees_minor, pledge.currency) if knows_fees else None,
        receipt_number=receipt_number(payment.id, payment.paid_at.year),
        legal_name=campaign.legal_name,
        tax_line=campaign.tax_line,
    )


def _dunning_number(about: str) -> int:
    """Return which mail about one bill this is, as it stands behind the bill's name: `in_1#2`."""
    _, _, number = about.rpartition("#")
    return int(number) if number.isascii() and number.isdigit() else 1


SUPPRESSED = "suppressed"
# Who wants no more appeals still gets a receipt for what they give, and a notice that the law asks for.
IGNORED_SUPPRESSIONS = (SuppressionReason.UNSUBSCRIBE,)
PreparedNotifications = PreparedEmails[NotificationClaim, NotificationEmail]


def build_notification_emails(
    session: Session, claims: Sequence[NotificationClaim], *, links: UrlBuilder, now: datetime.datetime
) -> PreparedNotifications:
    """Return the letters for these claims; one that was taken over or forgotten meanwhile has none.

    What need not be told any more, or has nobody to be told to, is skipped. A row that cannot be read or written
    is failed with a reason, and keeps no other from leaving. Links to sign in are made here.
    """
    prepared: PreparedNotifications = PreparedEmails([], Counter())
    held = {claim.notification_id: claim for claim in claims}
    whole: list[tuple[NotificationContext, Campaign, str]] = []
    for case in load_contexts(session, held):
        try:
            if case.notification.outcome == DeliveryOutcome.ACCEPTED:
                # Its earlier worker came back and said so after all.
                _finish_without_sending(prepared, case, NotificationEvent.DELIVER, "sent")
            elif (reason := skip_reason(session, case, now=now)) is not None:
                _finish_without_sending(prepared, case, NotificationEvent.SKIP, "skipped", reason)
            else:
                whole.append((case, *_decrypt(session, case)))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row must not keep the others back
            _finish_without_sending(prepared, case, NotificationEvent.FAIL, "failed", failure_reason(error))
    suppressed = find_suppressed(
        session,
        [
            Recipient(case.notification.id, to, campaign.slug, case.notification.created_at)
            for case, campaign, to in whole
        ],
        ignoring=IGNORED_SUPPRESSIONS,
    )
    for case, campaign, to in whole:
        why = suppressed.get(case.notification.id)
        if why is not None:
            _finish_without_sending(prepared, case, NotificationEvent.SKIP, "suppressed", f"{SUPPRESSED}: {why}")
            continue
        try:
            email = build_notification_email(session, case, campaign, to, links=links, now=now)
            prepared.emails.append((held[case.notification.id], email))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row must not keep the others back
            _finish_without_sending(prepared, case, NotificationEvent.FAIL, "failed", failure_reason(error))
    # Written before the tallies are held, which every worker waits for.
    session.flush()
    if prepared.finished:
        increment_counters(session, **prepared.finished)
    return prepared


def _finish_without_sending(
    prepared: PreparedNotifications,
    case: NotificationContext,
    event: NotificationEvent,
    counted: str,
    reason: str | None = None,
) -> None:
    transition_notification(case.notification, event, reason=reason)
    prepared.finished[counted] += 1


def _decrypt(session: Session, case: NotificationContext) -> tuple[Campaign, str]:
    """Return the campaign and the reader's address.

    Raises:
        Unwritable: one of them is not there, or does not open.
    """
    if case.campaign is None:
        raise EmailNotBuildable("its campaign was deleted")
    if case.encrypted_email is None:
        raise EmailNotBuildable("its reader was deleted")
    return case.campaign, decrypt_address(case.encrypted_email, session_keyring(session))
