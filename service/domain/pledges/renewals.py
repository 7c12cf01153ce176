"""Whether the next payment of a recurring pledge is expected: it may end before, or be paused."""

import datetime

from sqlalchemy import ColumnElement, and_, false, or_

from schemas.enums import PledgeStatus
from service.db.models.pledge import Pledge


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


def will_renew() -> ColumnElement[bool]:
    """Return the condition that the payment at `Pledge.renews_at` is expected."""
    return and_(
        or_(Pledge.cancel_at.is_(None), Pledge.cancel_at > Pledge.renews_at),
        or_(Pledge.is_paused == false(), Pledge.resumes_at <= Pledge.renews_at),
    )
