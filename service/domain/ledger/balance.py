"""Booking balance transactions: everything that a payment, its refunds and its disputes moved at the gateway.

The sum of their net amounts equals what the gateway's own balance shows for these payments.
"""

import datetime
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from schemas.enums import PaymentStatus
from service.db.base import new_id
from service.db.models.payment import BalanceCursor, BalanceTransaction, Dispute, Payment, Refund
from service.db.models.pledge import Pledge
from service.db.upsert import dialect_insert
from service.domain.ledger.disputes import recompute_disputes
from service.domain.ports import GatewayBalanceTransaction

# The gateway may list a transaction with a delay, and its clock differs from ours.
OVERLAP = datetime.timedelta(minutes=15)
# A payment is committed within this time after its id was made.
COMMIT_DELAY = datetime.timedelta(minutes=2)


@dataclass(frozen=True, kw_only=True)
class BookingResult:
    """How many transactions are new, and those whose payment is not recorded: it is late, or not ours."""

    booked: int
    unassigned: list[GatewayBalanceTransaction] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ListingPlan:
    """Since when to list, and the newest payment recorded by now."""

    since: datetime.datetime
    newest_payment_id: uuid.UUID


def book_balance_transactions(
    session: Session, gateway: str, transactions: Sequence[GatewayBalanceTransaction]
) -> BookingResult:
    """Book those that belong to our payments. Repeating it changes nothing.

    The payments are found with one query for each kind of reference, whatever the number of transactions.
    """
    owners = _find_payments(session, gateway, transactions)
    disputed = {owners[item.reference] for item in transactions if item.dispute and item.reference in owners}
    # The events of a dispute book its transactions too, after they locked the pledge.
    _lock_pledges(session, disputed)
    booked = insert_balance_transactions(session, transactions, owners)
    _record_methods(session, transactions, owners)
    recompute_disputes(session, disputed)
    return BookingResult(
        booked=booked,
        unassigned=[transaction for transaction in transactions if transaction.reference not in owners],
    )


def insert_balance_transactions(
    session: Session, transactions: Iterable[GatewayBalanceTransaction], owners: Mapping[str, uuid.UUID]
) -> int:
    """Insert those that have an owner, a payment's id by the transaction's reference; return how many are new.

    A row of an earlier release, which knew neither type nor charge, is completed.
    """
    # Every transaction inserts in the same order, so that two workers wait for each other and never deadlock.
    owned = sorted((item for item in transactions if item.reference in owners), key=lambda item: item.reference)
    if not owned:
        return 0
    known = dict(
        session.execute(
            select(BalanceTransaction.gateway_reference, BalanceTransaction.charge_reference).where(
                BalanceTransaction.gateway_reference.in_([item.reference for item in owned])
            )
        ).all()
    )
    for item in owned:
        if item.reference in known and known[item.reference] is None and item.charge is not None:
            session.execute(
                update(BalanceTransaction)
                .where(BalanceTransaction.gateway_reference == item.reference)
                .values(kind=item.kind, occurred_at=item.occurred_at, charge_reference=item.charge)
            )
    rows = [_row(item, owners[item.reference]) for item in owned if item.reference not in known]
    if not rows:
        return 0
    statement = dialect_insert(session, BalanceTransaction).values(rows)
    statement = statement.on_conflict_do_nothing(index_elements=[BalanceTransaction.gateway_reference])
    return len(session.execute(statement.returning(BalanceTransaction.id)).all())


def _record_methods(
    session: Session, transactions: Iterable[GatewayBalanceTransaction], owners: Mapping[str, uuid.UUID]
) -> None:
    """Record how the payments of charges were made, once each, and not for readers who were erased."""
    methods = {
        owners[item.reference]: item.method
        for item in transactions
        if item.method is not None and item.reference in owners
    }
    unknown = select(Payment.id).join(Pledge, Pledge.id == Payment.pledge_id)
    unknown = unknown.where(Payment.id.in_(methods), Payment.method_kind.is_(None), Pledge.erased_at.is_(None))
    for payment_id in session.scalars(unknown.order_by(Payment.id)) if methods else ():
        method = methods[payment_id]
        session.execute(
            update(Payment)
            .where(Payment.id == payment_id)
            .values(method_kind=method.kind, method_brand=method.brand, method_last4=method.last4)
        )


def known_customers(session: Session, gateway: str, customers: Iterable[str]) -> set[str]:
    """Return those of the gateway's customers that a pledge of ours belongs to."""
    query = select(Pledge.customer_reference).where(
        Pledge.gateway == gateway, Pledge.customer_reference.in_(set(customers))
    )
    return {customer for customer in session.scalars(query) if customer is not None}


def plan_listing(session: Session, gateway: str) -> ListingPlan | None:
    """Return since when transactions are to be listed; None as long as there is no payment.

    Usually that is shortly before the last listing. The first listing starts at the first payment. A payment that
    was recorded after the last listing and made before it, because its event was late, is reached as well.
    """
    successful = (Payment.gateway == gateway, Payment.status != PaymentStatus.FAILED)
    newest = session.scalar(select(Payment.id).where(*successful).order_by(Payment.id.desc()).limit(1))
    if newest is None:
        return None
    cursor = session.get(BalanceCursor, gateway)
    if cursor is None or cursor.newest_payment_id is None:
        first = session.scalars(select(func.min(Payment.paid_at)).where(*successful)).one()
        listed_until = first if cursor is None else max(first, cursor.listed_until)
        return ListingPlan(since=listed_until - OVERLAP, newest_payment_id=newest)
    late: datetime.datetime | None = session.scalar(
        select(func.min(Payment.paid_at)).where(
            *successful,
            Payment.id > _earlier_uuid7(cursor.newest_payment_id, COMMIT_DELAY),
            ~select(BalanceTransaction.id).where(BalanceTransaction.payment_id == Payment.id).exists(),
        )
    )
    since = cursor.listed_until if late is None else min(late, cursor.listed_until)
    return ListingPlan(since=since - OVERLAP, newest_payment_id=newest)


def advance_cursor(
    session: Session, gateway: str, until: datetime.datetime, newest_payment_id: uuid.UUID | None
) -> None:
    """Record that everything up to this instant was listed; the instant never moves back.

    `newest_payment_id` is given when a listing is complete: it found what there is of the payments up to this one.
    """
    row = {"gateway": gateway, "listed_until": until, "newest_payment_id": newest_payment_id}
    statement = dialect_insert(session, BalanceCursor).values(row)
    excluded, current = statement.excluded, BalanceCursor.listed_until
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[BalanceCursor.gateway],
            set_={
                "listed_until": case((excluded.listed_until > current, excluded.listed_until), else_=current),
                "newest_payment_id": func.coalesce(excluded.newest_payment_id, BalanceCursor.newest_payment_id),
            },
        )
    )


def _earlier_uuid7(payment_id: uuid.UUID, duration: datetime.timedelta) -> uuid.UUID:
    """Return an id below those of all rows created up to `duration` before this one.

    A UUIDv7 begins with its instant in milliseconds (RFC 9562).
    """
    return uuid.UUID(int=max((payment_id.int >> 80) - int(duration.total_seconds() * 1000), 0) << 80)


def _find_payments(
    session: Session, gateway: str, transactions: Sequence[GatewayBalanceTransaction]
) -> dict[str, uuid.UUID]:
    """Return the id of the payment that each transaction belongs to, by the transaction's reference."""
    references = {
        reference for item in transactions for reference in (item.intent, item.invoice, item.charge) if reference
    }
    payments = session.execute(
        select(Payment.gateway_reference, Payment.id).where(
            Payment.gateway == gateway,
            Payment.gateway_reference.in_(references),
            Payment.status != PaymentStatus.FAILED,
        )
    )
    by_reference: dict[str, uuid.UUID] = dict(payments.all())
    for column, owner, wanted in (
        (BalanceTransaction.charge_reference, BalanceTransaction.payment_id, {t.charge for t in transactions}),
        (Refund.gateway_reference, Refund.payment_id, {t.refund for t in transactions}),
        (Dispute.gateway_reference, Dispute.payment_id, {t.dispute for t in transactions}),
    ):
        by_reference |= _owners_by(session, column, owner, wanted - {None})
    owners: dict[str, uuid.UUID] = {}
    # Charges first: they tell the payment of the refunds and disputes that name nothing but the charge.
    for item in sorted(transactions, key=lambda item: item.refund is not None or item.dispute is not None):
        for reference in (item.intent, item.invoice, item.charge, item.refund, item.dispute):
            if reference in by_reference:
                owners[item.reference] = by_reference[reference]
                if item.charge is not None:
                    by_reference[item.charge] = owners[item.reference]
                break
    return owners


def _lock_pledges(session: Session, payment_ids: Collection[uuid.UUID]) -> None:
    if payment_ids:
        pledges = select(Payment.pledge_id).where(Payment.id.in_(payment_ids))
        # In the order of their ids, so that two workers wait for each other and never deadlock.
        session.execute(
            select(Pledge.id).where(Pledge.id.in_(pledges)).order_by(Pledge.id).with_for_update()
        ).all()


def _owners_by(
    session: Session, column: InstrumentedAttribute[Any], owner: InstrumentedAttribute[Any], wanted: set[Any]
) -> dict[str, uuid.UUID]:
    if not wanted:
        return {}
    return dict(session.execute(select(column, owner).where(column.in_(wanted))).all())


def _row(item: GatewayBalanceTransaction, payment_id: uuid.UUID) -> dict[str, Any]:
    return {
        "id": new_id(),
        "payment_id": payment_id,
        "gateway_reference": item.reference,
        "kind": item.kind,
        "occurred_at": item.occurred_at,
        "gross_minor": item.gross_minor,
        "fee_minor": item.fee_minor,
        "net_minor": item.net_minor,
        "currency": item.currency,
        "charge_reference": item.charge,
        "refund_reference": item.refund,
        "dispute_reference": item.dispute,
    }
