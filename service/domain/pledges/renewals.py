"""When a recurring pledge is paid next: its payments may end before, or be paused."""

import calendar
import datetime
from collections.abc import Iterable
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, false, or_

from schemas.enums import Frequency, PledgeStatus
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.domain.calendar import add_months, at_local_hour

# The sandbox stores nothing of its own, so its pledges have no subscription reference and no reported renewal.
SANDBOX_GATEWAY = "sandbox"
MONTHS = {Frequency.MONTHLY: 1, Frequency.ANNUAL: 12}
# A payment that is due sooner may already be on its way.
MIN_NOTICE = datetime.timedelta(hours=2)
# A switch puts the first payment off by a trial. Stripe's are no longer than two years, that is, 730 days.
MAX_PUT_OFF = datetime.timedelta(days=730)


class Obstacle(StrEnum):
    """Why the next payments of a running pledge cannot be put off or changed in frequency now."""

    PAST_DUE = "past_due"
    NO_DATE = "no_date"
    TOO_LATE = "too_late"
    TOO_FAR = "too_far"
    ENDING = "ending"
    PAUSED = "paused"
    PENDING = "pending"


OBSTACLES = {
    Obstacle.PAST_DUE: "The last payment has failed; it must be paid first.",
    Obstacle.NO_DATE: "The day of the next payment is not known yet.",
    Obstacle.TOO_LATE: "The next payment is being taken now.",
    Obstacle.TOO_FAR: "The next payment is more than two years away.",
    Obstacle.ENDING: "The pledge is set to end.",
    Obstacle.PAUSED: "The pledge is paused.",
    Obstacle.PENDING: "An earlier change is not made at the payment provider yet.",
}


def schedule_obstacle(pledge: Pledge, *, now: datetime.datetime) -> Obstacle | None:
    """Return why the schedule of a recurring pledge cannot be changed now; a pause is no reason here."""
    scheduled = scheduled_payment_at(pledge, now=now)
    if pledge.status != PledgeStatus.ACTIVE:
        return Obstacle.PAST_DUE
    if pledge.cancel_at is not None:
        return Obstacle.ENDING
    if scheduled is None:
        return Obstacle.NO_DATE
    return Obstacle.TOO_LATE if scheduled <= now + MIN_NOTICE else None


def ends_before(pledge: Pledge, at: datetime.datetime) -> bool:
    """Whether the gateway is set to end the subscription by then."""
    return pledge.cancel_at is not None and pledge.cancel_at <= at


def is_paused_at(pledge: Pledge, at: datetime.datetime) -> bool:
    """Whether no payment is taken then; a pause without an end goes on.

    A requested pause, or the end of one, counts before the gateway has it.
    """
    if pledge.pause_requested_at is not None:
        return pledge.pending_resumes_at is not None and pledge.pending_resumes_at > at
    return pledge.is_paused and (pledge.resumes_at is None or pledge.resumes_at > at)


def pause_ends_at(pledge: Pledge) -> datetime.datetime | None:
    """Return when payments resume, if a pause with an end is set or requested."""
    if pledge.pause_requested_at is not None:
        return pledge.pending_resumes_at
    return pledge.resumes_at if pledge.is_paused else None


def scheduled_payment_at(pledge: Pledge, *, now: datetime.datetime) -> datetime.datetime | None:
    """Return when the next payment is scheduled, also one that a pause skips; None if that is unknown."""
    if pledge.gateway != SANDBOX_GATEWAY or pledge.frequency not in MONTHS:
        return pledge.renews_at
    first, periods = (started_at(pledge), 1) if pledge.renews_at is None else (pledge.renews_at, 0)
    while payment_after(pledge, first, periods) <= now:
        periods += 1
    return payment_after(pledge, first, periods)


def payment_after(pledge: Pledge, payment_at: datetime.datetime, periods: int) -> datetime.datetime:
    """Return when the payment is scheduled that comes some periods after another scheduled payment.

    As at Stripe, it is the same day in UTC, or the last one of a month that is too short; after a short month it
    is again the day on which the reader began, or on which they paid first after a switch of the frequency.
    """
    first = payment_at.astimezone(datetime.UTC)
    began = (pledge.anchored_at or started_at(pledge)).astimezone(datetime.UTC)
    day = began.day if _clamp(first.year, first.month, began.day) == first.day else first.day
    years, month = divmod(first.month - 1 + MONTHS[pledge.frequency] * periods, 12)
    year = first.year + years
    return first.replace(year=year, month=month + 1, day=_clamp(year, month + 1, day))


def _clamp(year: int, month: int, day: int) -> int:
    return min(day, calendar.monthrange(year, month)[1])


def next_payment_at(pledge: Pledge, *, now: datetime.datetime) -> datetime.datetime | None:
    """Return when the next payment of an active pledge is expected; None if none is, or if that is unknown.

    During a pause with an end it is the first payment after that.
    """
    if pledge.status != PledgeStatus.ACTIVE or pledge.cancel_requested_at is not None:
        return None
    scheduled, periods = scheduled_payment_at(pledge, now=now), 0
    if scheduled is None:
        return None
    at = scheduled
    while is_paused_at(pledge, at):
        if pause_ends_at(pledge) is None:
            return None
        periods += 1
        at = payment_after(pledge, scheduled, periods)
    return None if ends_before(pledge, at) else at


def missed_payment_at(
    pledge: Pledge, paid_at: Iterable[datetime.datetime], *, now: datetime.datetime
) -> datetime.datetime | None:
    """Return when a payment was due, or taken, since a pause was requested that the gateway does not have yet.

    `paid_at` are the times of the pledge's payments so far.
    """
    requested_at = pledge.pause_requested_at
    if requested_at is None or pledge.pending_resumes_at is None:
        return None
    due = [pledge.renews_at] if pledge.renews_at is not None and pledge.gateway != SANDBOX_GATEWAY else []
    return max((at for at in (*due, *paid_at) if requested_at < at <= now), default=None)


def next_payment_on(pledge: Pledge, paid_at: datetime.datetime) -> datetime.date | None:
    """Return the day of the next payment in the campaign's zone, after the latest one; None if none is expected.

    Until the gateway has said when it is, it is a month or a year later.
    """
    zone, months = pledge.campaign.timezone, MONTHS.get(pledge.frequency)
    if months is None or pledge.status != PledgeStatus.ACTIVE or pledge.cancel_requested_at is not None:
        return None
    if pledge.renews_at is None and not is_paused_at(pledge, paid_at):
        return add_months(paid_at, months=months, zone=zone, hour=0).local_date
    at = next_payment_at(pledge, now=paid_at)
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
        or_(
            and_(
                Pledge.pause_requested_at.is_(None),
                or_(Pledge.is_paused == false(), Pledge.resumes_at <= Pledge.renews_at),
            ),
            and_(
                Pledge.pause_requested_at.is_not(None),
                or_(Pledge.pending_resumes_at.is_(None), Pledge.pending_resumes_at <= Pledge.renews_at),
            ),
        ),
    )
