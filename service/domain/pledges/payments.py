"""What a gateway reports about a pledge: money came, money did not come, nobody came.

Every gateway ends in these calls. Each may be repeated: a payment is known by the gateway's own
reference, and a second report of it changes nothing.
"""

import datetime
import uuid
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.vocabulary import Frequency, PaymentStatus, PledgeStatus
from service.db.base import new_id
from service.db.payment import Payment
from service.db.pledge import Pledge
from service.domain.addresses import normalise_address
from service.domain.errors import InvalidAddress, PaymentMismatch
from service.domain.money.amounts import Money
from service.domain.pledges.making import find_pledge, move_pledge
from service.domain.pledges.status import PledgeEvent
from service.domain.supporters import meet_supporter


@dataclass(frozen=True, kw_only=True)
class Charge:
    """One attempt to move money, by the gateway's own reference for it."""

    reference: str
    money: Money


def settle_pledge(
    session: Session, pledge_id: uuid.UUID, charge: Charge, *, email: str | None, now: datetime.datetime
) -> Pledge:
    """Record that the reader paid: a single gift is completed, a recurring one becomes active.

    An `email` that no mail can be sent to is left out.

    Raises:
        PledgeNotFound, PaymentMismatch: the report cannot be about this pledge.
        IllegalMove: the pledge takes no first payment any more.
    """
    pledge = find_pledge(session, pledge_id, to_change=True)
    if _is_recorded(session, pledge, charge):
        return pledge
    once = pledge.frequency == Frequency.ONCE
    move_pledge(session, pledge, PledgeEvent.SETTLE_ONCE if once else PledgeEvent.START, now=now)
    _record(session, pledge, charge, PaymentStatus.SUCCEEDED, now=now)
    if email is not None:
        _link_supporter(session, pledge, email, now=now)
    return pledge


def _link_supporter(session: Session, pledge: Pledge, email: str, *, now: datetime.datetime) -> None:
    try:
        address = normalise_address(email)
    except InvalidAddress:
        # Money that arrived is never refused for the address beside it: the gift then stands without a name.
        return
    pledge.supporter_id = meet_supporter(session, address, now=now)


def fail_payment(session: Session, pledge_id: uuid.UUID, charge: Charge, *, now: datetime.datetime) -> Pledge:
    """Record that a payment was declined; the reader may try again, so the pledge stays where it is.

    Raises:
        PledgeNotFound, PaymentMismatch: the report cannot be about this pledge.
        IllegalMove: the pledge takes no first payment any more.
    """
    pledge = find_pledge(session, pledge_id, to_change=True)
    if not _is_recorded(session, pledge, charge):
        move_pledge(session, pledge, PledgeEvent.FAIL, now=now)
        _record(session, pledge, charge, PaymentStatus.FAILED, now=now)
    return pledge


def expire_pledge(session: Session, pledge_id: uuid.UUID, *, now: datetime.datetime) -> Pledge:
    """Record that the checkout closed unpaid.

    Raises:
        PledgeNotFound: there is none with this id.
        IllegalMove: it was paid.
    """
    pledge = find_pledge(session, pledge_id, to_change=True)
    if pledge.status != PledgeStatus.EXPIRED:
        move_pledge(session, pledge, PledgeEvent.EXPIRE, now=now)
    return pledge


def _is_recorded(session: Session, pledge: Pledge, charge: Charge) -> bool:
    """Whether this charge was reported before.

    Raises:
        PaymentMismatch: it is another currency, less than was pledged, or another pledge's charge.
    """
    if charge.money.currency != pledge.currency:
        raise PaymentMismatch(f"The pledge is in {pledge.currency}, the payment in {charge.money.currency}.")
    if charge.money.amount_minor < pledge.amount_minor:
        raise PaymentMismatch("The payment is less than was pledged.")
    paid_for = session.scalar(
        select(Payment.pledge_id).where(
            Payment.gateway == pledge.gateway, Payment.gateway_reference == charge.reference
        )
    )
    if paid_for not in (None, pledge.id):
        raise PaymentMismatch("This payment was reported for another pledge.")
    return paid_for is not None


def _record(
    session: Session, pledge: Pledge, charge: Charge, status: PaymentStatus, *, now: datetime.datetime
) -> None:
    session.add(
        Payment(
            id=new_id(),
            pledge_id=pledge.id,
            status=status,
            amount_minor=charge.money.amount_minor,
            currency=charge.money.currency,
            gateway=pledge.gateway,
            gateway_reference=charge.reference,
            paid_at=now,
        )
    )
