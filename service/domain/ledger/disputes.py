"""Disputes in the ledger: each follows the gateway's last word, and what it withholds its balance transactions.

An inquiry precedes a dispute and moves no money. The events of one dispute may arrive in any order and repeatedly.
"""

import uuid
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import DisputeStatus
from service.db.base import new_id
from service.db.models.payment import BalanceTransaction, Dispute, FraudWarning, Payment
from service.db.upsert import insert_on_conflict_do_nothing
from service.domain.errors import PaymentMismatch
from service.domain.ledger.records import recompute_payment_status, require_currency
from service.domain.ports.payment_events import DisputeUpdated, FraudWarned

# Of two reports of the same second, the one further on counts.
STATUS_PRECEDENCE = (
    DisputeStatus.INQUIRY,
    DisputeStatus.CLOSED,
    DisputeStatus.OPEN,
    DisputeStatus.PREVENTED,
    DisputeStatus.WON,
    DisputeStatus.LOST,
)
# As long as no balance transaction tells what was withdrawn, these withhold the disputed amount.
WITHHOLDING_STATUSES = (DisputeStatus.OPEN, DisputeStatus.LOST)
# What came back at another exchange rate leaves a difference of less than this share of what was withdrawn.
EXCHANGE_TOLERANCE_PERCENT = 5


def record_dispute(session: Session, payment: Payment, event: DisputeUpdated) -> Dispute:
    """Record what the gateway reports of a dispute of a payment whose pledge is locked; return the dispute.

    The report with the latest time at the gateway decides the status, the amount and the reason.

    Raises:
        PaymentMismatch: it is in another currency, or was recorded for another payment.
    """
    require_currency(payment, event.money)
    dispute = session.scalar(select(Dispute).where(Dispute.gateway_reference == event.dispute))
    if dispute is None:
        dispute = Dispute(
            id=new_id(),
            payment_id=payment.id,
            status=event.status,
            amount_minor=event.money.amount_minor,
            currency=event.money.currency,
            gateway_reference=event.dispute,
            reason=event.reason,
            opened_at=event.occurred_at,
            status_at=event.occurred_at,
        )
        session.add(dispute)
    elif dispute.payment_id != payment.id:
        raise PaymentMismatch("This dispute was recorded for another payment.")
    else:
        dispute.opened_at = min(dispute.opened_at, event.occurred_at)
        reported = (event.occurred_at, STATUS_PRECEDENCE.index(event.status), event.money.amount_minor)
        status_at = dispute.status_at or dispute.opened_at
        if reported > (status_at, STATUS_PRECEDENCE.index(dispute.status), dispute.amount_minor):
            dispute.status, dispute.status_at = event.status, event.occurred_at
            dispute.amount_minor, dispute.reason = event.money.amount_minor, event.reason or dispute.reason
    recompute_withheld(session, payment, [dispute])
    return dispute


def recompute_disputes(session: Session, payment_ids: Iterable[uuid.UUID]) -> None:
    """Set what the disputes of these payments withhold, after their pledges were locked."""
    for payment_id in payment_ids:
        disputes = session.scalars(select(Dispute).where(Dispute.payment_id == payment_id)).all()
        recompute_withheld(session, session.get_one(Payment, payment_id), disputes)


def recompute_withheld(session: Session, payment: Payment, disputes: Iterable[Dispute]) -> None:
    """Set what these disputes of a payment withhold, and the payment's status."""
    for dispute in disputes:
        movements = session.execute(
            select(BalanceTransaction.gross_minor, BalanceTransaction.currency).where(
                BalanceTransaction.dispute_reference == dispute.gateway_reference
            )
        ).all()
        dispute.withheld_minor = withheld_minor(
            dispute.status, dispute.amount_minor, dispute.currency, [(gross, code) for gross, code in movements]
        )
    recompute_payment_status(session, payment)


def withheld_minor(
    status: DisputeStatus, amount_minor: int, currency: str, movements: list[tuple[int, str]]
) -> int:
    """Return what a dispute withholds, in minor units of the payment's currency.

    `movements` are the gross amounts and the currencies of its balance transactions. In another currency than the
    payment's, they tell which share of the disputed amount was withdrawn and did not come back.
    """
    if not movements:
        return amount_minor if status in WITHHOLDING_STATUSES else 0
    missing = max(-sum(gross for gross, _ in movements), 0)
    if all(code == currency for _, code in movements):
        return missing
    withdrawn = -sum(gross for gross, _ in movements if gross < 0)
    if missing * 100 < withdrawn * EXCHANGE_TOLERANCE_PERCENT or not withdrawn:
        return 0
    return (amount_minor * missing + withdrawn // 2) // withdrawn


def record_fraud_warning(session: Session, payment: Payment, event: FraudWarned) -> bool:
    """Record that the card's issuer suspects fraud in a payment; return False if it is recorded already."""
    row = {
        "id": new_id(),
        "payment_id": payment.id,
        "gateway_reference": event.warning,
        "kind": event.kind,
        "warned_at": event.occurred_at,
    }
    return insert_on_conflict_do_nothing(session, FraudWarning, row, unique=("gateway_reference",))
