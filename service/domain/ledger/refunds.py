"""Refunds in the ledger: each follows its status at the gateway, in whatever order and how often it is reported.

What the gateway reports is always recorded, also where the refunds of a payment exceed it for a while: one of them
may have failed, and that event may still be on its way.
"""

import datetime
from collections.abc import Sequence

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import RefundStatus
from service.db.base import new_id
from service.db.models.payment import Payment, Refund
from service.domain.errors import PaymentMismatch
from service.domain.ledger.records import recompute_payment_status, require_currency
from service.domain.ports.payment_events import RefundedTotalUpdated, RefundUpdated

# Of two statuses that the gateway reports, the later one counts. One that failed or was cancelled stays so.
STATUS_PRECEDENCE = (
    RefundStatus.REQUESTED,
    RefundStatus.WITHDRAWN,
    RefundStatus.PENDING,
    RefundStatus.SUCCEEDED,
    RefundStatus.CANCELLED,
    RefundStatus.FAILED,
)
# At the gateway, the money of these has left the payment. A requested one will.
MADE_STATUSES = (RefundStatus.PENDING, RefundStatus.SUCCEEDED)
RESERVED_STATUSES = (RefundStatus.REQUESTED, *MADE_STATUSES)
# A refund that stands for a charge's total is named after the charge and the total: `ch_1@500`.
TOTAL_MARK = "@"

log = structlog.get_logger()


def record_refund(session: Session, payment: Payment, event: RefundUpdated) -> Refund:
    """Record what the gateway reports of a refund of a payment whose pledge is locked; return the refund.

    Raises:
        PaymentMismatch: it is in another currency, or was recorded for another payment or another amount.
    """
    require_currency(payment, event.money)
    refund = _find_refund(session, event)
    if refund is None:
        refund = Refund(
            id=new_id(),
            payment_id=payment.id,
            status=event.status,
            amount_minor=event.money.amount_minor,
            currency=event.money.currency,
            gateway_reference=event.refund,
            reason=event.reason,
            created_at=event.occurred_at,
            ended_at=event.ended_at,
        )
        session.add(refund)
    elif (refund.payment_id, refund.amount_minor) != (payment.id, event.money.amount_minor):
        raise PaymentMismatch("This refund was recorded for another payment or another amount.")
    else:
        update_refund(refund, event)
    _apply_refunded_totals(session, payment)
    recompute_payment_status(session, payment)
    return refund


def update_refund(refund: Refund, event: RefundUpdated) -> None:
    """Apply what the gateway reports of this refund.

    It outweighs a status that only we gave, such as withdrawn: the gateway has the refund all the same.
    """
    before = refund.status
    is_known_there = refund.gateway_reference is not None
    if not is_known_there or STATUS_PRECEDENCE.index(event.status) > STATUS_PRECEDENCE.index(before):
        refund.status, refund.reason = event.status, event.reason
        if not is_known_there and before in (RefundStatus.WITHDRAWN, RefundStatus.FAILED):
            log.warning("refund_made_after_all", refund=str(refund.id), status=before.value)
    refund.gateway_reference = refund.gateway_reference or event.refund
    refund.reason = refund.reason or event.reason
    refund.locked_until = None
    if event.ended_at is not None:
        refund.ended_at = min(refund.ended_at or event.ended_at, event.ended_at)
    if refund.status != before and refund.status in (RefundStatus.FAILED, RefundStatus.CANCELLED):
        log.warning(
            "refund_failed", refund=str(refund.id), payment=str(refund.payment_id), status=refund.status.value
        )


def record_refunded_total(session: Session, payment: Payment, event: RefundedTotalUpdated) -> None:
    """Record the refunded total of a charge whose single refunds the gateway does not list.

    The part of the latest total that no recorded refund explains is one refund, until they are reported.

    Raises:
        PaymentMismatch: it is in another currency than the payment.
    """
    require_currency(payment, event.money)
    reference = f"{event.charge}{TOTAL_MARK}{event.money.amount_minor}"
    total = session.scalar(select(Refund).where(Refund.gateway_reference == reference))
    if total is None:
        session.add(
            Refund(
                id=new_id(),
                payment_id=payment.id,
                status=RefundStatus.SUCCEEDED,
                amount_minor=event.money.amount_minor,
                currency=event.money.currency,
                gateway_reference=reference,
                created_at=event.occurred_at,
            )
        )
    else:
        total.created_at = max(total.created_at, event.occurred_at)
    _apply_refunded_totals(session, payment)
    recompute_payment_status(session, payment)


def _apply_refunded_totals(session: Session, payment: Payment) -> None:
    """Let the latest total stand for what the refunds known by their own ids leave of it."""
    refunds = session.scalars(select(Refund).where(Refund.payment_id == payment.id)).all()
    totals = [(refund.created_at, _total_of(refund), refund) for refund in refunds if _total_of(refund)]
    if not totals:
        return
    *superseded, (at, total, latest) = sorted(totals, key=lambda item: item[:2])
    for _, earlier_total, earlier in superseded:
        earlier.status, earlier.amount_minor = RefundStatus.CANCELLED, earlier_total
    explained = sum(refund.amount_minor for refund in _single_refunds(refunds) if _is_part_of_total(refund, at))
    latest.status = RefundStatus.SUCCEEDED if explained < total else RefundStatus.CANCELLED
    latest.amount_minor = total - explained if explained < total else total


def _single_refunds(refunds: Sequence[Refund]) -> list[Refund]:
    return [refund for refund in refunds if refund.gateway_reference is not None and not _total_of(refund)]


def _total_of(refund: Refund) -> int:
    """Return the total that this refund stands for, or 0 if it is a single refund."""
    _, _, total = (refund.gateway_reference or "").rpartition(TOTAL_MARK)
    return int(total) if TOTAL_MARK in (refund.gateway_reference or "") and total.isdigit() else 0


def _is_part_of_total(refund: Refund, at: datetime.datetime) -> bool:
    """Return whether the charge's total at this instant contained the refund: it was made, and had not failed."""
    if refund.created_at > at:
        return False
    return refund.status in MADE_STATUSES or (refund.ended_at is not None and refund.ended_at > at)


def _find_refund(session: Session, event: RefundUpdated) -> Refund | None:
    refund = session.scalar(select(Refund).where(Refund.gateway_reference == event.refund))
    if refund is not None or event.refund_id is None:
        return refund
    requested = session.get(Refund, event.refund_id)
    # The gateway may have made a requested refund twice. Each has an id of its own there, and both are recorded.
    return requested if requested is not None and requested.gateway_reference is None else None
