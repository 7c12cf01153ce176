"""What each kind of notice tells: amounts, dates and where its button leads."""

import dataclasses
import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from schemas.enums import NotificationKind
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.domain.campaigns.own_texts import text_overrides
from service.domain.links import UrlBuilder
from service.domain.mail.drafts import EmailNotBuildable
from service.domain.money.amounts import Money
from service.domain.notice_mail.cases import RECURRING_STATUSES, NotificationContext
from service.domain.notices.receipts import receipt_number
from service.domain.pledges.making import total_charge
from service.domain.pledges.own_page import pledge_token
from service.domain.ports import NotificationEmail
from service.domain.sign_in.links import create_magic_link_token
from service.domain.supporters import session_keyring


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
        event_date=notification.falls_on,
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
            is_ahead = notification.falls_on is not None and notification.falls_on >= case.today(now)
            return dataclasses.replace(
                base,
                money=total_charge(pledge),
                event_date=notification.falls_on if is_ahead else None,
                dunning_number=_dunning_number(notification.about),
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
