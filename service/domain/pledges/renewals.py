"""Whether the next payment of a recurring pledge is expected: it may end before, or be paused."""

import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, false, or_

from schemas.enums import Frequency, PledgeStatus
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.domain.calendar import add_months, at_local_hour

MONTHS = {Frequency.MONTHLY: 1, Frequency.ANNUAL: 12}


def ends_before(pledge: Pledge, at: datetime.datetime) -> bool:
    """Whether the gateway is set to end the subscription by then."""
    return pledge.cancel_at is not None and pledge.cancel_at <= at


def is_paused_at(pledge: Pledge, at: datetime.datetime) -> bool:
    """Whether the gateway takes no payment then; a pause without an end goes on."""
    return pledge.is_paused and (pledge.resumes_at is None or pledge.resumes_at > at)


def next_payment_at(pledge: Pledge) -> datetime.datetime | None:
    """Return when the next payment of an active pledge is expected; None if none is, or if that is unknown."""
    if pledge.status != PledgeStatus.ACTIVE or pledge.cancel_requested_at is not None:
        return None
    at = pledge.renews_at
    return None if at is None or ends_before(pledge, at) or is_paused_at(pledge, at) else at


def next_payment_on(pledge: Pledge, paid_at: datetime.datetime) -> datetime.date | None:
    """Return the day of the next payment in the campaign's zone, after the latest one; None if none is expected.

    Until the gateway has said when it is, it is a month or a year later.
    """
    zone, months = pledge.campaign.timezone, MONTHS.get(pledge.frequency)
    if months is None or pledge.status != PledgeStatus.ACTIVE or pledge.cancel_requested_at is not None:
        return None
    if pledge.renews_at is None:
        return add_months(paid_at, months=months, zone=zone, hour=0).local_date
    at = next_payment_at(pledge)
    return None if at is None else at.astimezone(ZoneInfo(zone)).date()


def renewal_email_at(campaign: Campaign, renews_on: datetime.date) -> datetime.datetime:
    """Return when the email about an annual renewal is sent: at the campaign's hour, its days before and one more.

    With that one, a delay of some hours does not make it less.
    """
    day = renews_on - datetime.timedelta(days=campaign.notices_renewal_days + 1)
    return at_local_hour(day, zone=campaign.timezone, hour=campaign.send_hour).instant


def started_at(pledge: Pledge) -> datetime.datetime:
    """Return when the reader began to give."""
    return pledge.checkout_completed_at or pledge.created_at


def will_renew() -> ColumnElement[bool]:
    """Return the condition that the payment at `Pledge.renews_at` is expected."""
    return and_(
        or_(Pledge.cancel_at.is_(None), Pledge.cancel_at > Pledge.renews_at),
        or_(Pledge.is_paused == false(), Pledge.resumes_at <= Pledge.renews_at),
    )
