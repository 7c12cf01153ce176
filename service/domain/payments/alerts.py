"""Telling staff about disputes and early fraud warnings: one email for each, and counts for monitoring."""

import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.enums import DisputeStatus, PaymentStatus
from service.db.models.payment import Dispute, FraudWarning, Payment
from service.domain.email.outbox import enqueue_alert
from service.domain.money import Money, format_money
from service.domain.ports.payment_events import FraudWarned

# These wait for the newsroom's response.
ALERTED_STATUSES = (DisputeStatus.INQUIRY, DisputeStatus.OPEN)


def alert_dispute(session: Session, payment: Payment, dispute: Dispute, *, now: datetime.datetime) -> None:
    """Enqueue an email to staff about a dispute or inquiry that waits for a response."""
    if dispute.status not in ALERTED_STATUSES:
        return
    amount = format_money(Money(dispute.amount_minor, dispute.currency), "en")
    if dispute.status == DisputeStatus.INQUIRY:
        subject = f"A bank asks about a payment of {amount}"
        body = (
            f"A reader's bank asks about a payment of {amount}. No money has been withdrawn. If the reader wants "
            "the money back, refund the payment: that usually ends the matter without a dispute and its fee."
        )
    else:
        subject = f"A payment of {amount} is disputed"
        body = (
            f"A reader's bank disputes a payment of {amount}, and withdraws the money until it has decided. "
            "Respond in your Stripe dashboard before the deadline shown there, or accept the dispute."
        )
    body += (
        f"\n\n{_where(payment)} Dispute: {dispute.gateway_reference}. Reason given: {dispute.reason or 'none'}."
    )
    enqueue_alert(
        session, f"dispute:{dispute.gateway_reference}:{dispute.status}", subject=subject, body=body, now=now
    )


def alert_fraud_warning(session: Session, payment: Payment, event: FraudWarned, *, now: datetime.datetime) -> None:
    """Enqueue an email to staff about an early fraud warning of a payment."""
    amount = format_money(Money(payment.amount_minor, payment.currency), "en")
    enqueue_alert(
        session,
        f"fraud_warning:{event.warning}",
        subject=f"The card's issuer warns of fraud in a payment of {amount}",
        body=(
            f"The issuer of the card suspects fraud in a payment of {amount}. A dispute is likely to follow. "
            "If you don't know the reader, refund the payment now: that avoids the dispute and its fee.\n\n"
            f"{_where(payment)} Warning: {event.warning}."
        ),
        now=now,
    )


def count_disputes(session: Session) -> dict[DisputeStatus, int]:
    """Return the number of disputes for every status, including 0."""
    rows = session.execute(select(Dispute.status, func.count()).group_by(Dispute.status)).all()
    return dict.fromkeys(DisputeStatus, 0) | dict(rows)


def count_fraud_warnings(session: Session) -> int:
    """Return the number of early fraud warnings that staff can still act on.

    A payment that is refunded, or disputed already, leaves nothing to do.
    """
    disputed = select(Dispute.id).where(Dispute.payment_id == Payment.id).exists()
    query = (
        select(func.count(func.distinct(Payment.id)))
        .select_from(FraudWarning)
        .join(Payment, Payment.id == FraudWarning.payment_id)
        .where(Payment.status.in_((PaymentStatus.SUCCEEDED, PaymentStatus.PARTIALLY_REFUNDED)), ~disputed)
    )
    return session.scalar(query) or 0


def describe_disputes_and_warnings(session: Session) -> dict[str, str]:
    """Return what waits for staff, as one phrase for each topic; a topic with nothing to do is left out."""
    counts = count_disputes(session)
    disputes, warnings = sum(counts[status] for status in ALERTED_STATUSES), count_fraud_warnings(session)
    phrases = {}
    if disputes:
        noun, verb = ("dispute or inquiry", "waits") if disputes == 1 else ("disputes and inquiries", "wait")
        phrases["disputes"] = f"{disputes} {noun} {verb} for your response"
    if warnings:
        phrases["early_fraud_warnings"] = f"{warnings} early fraud warning{'s' * (warnings != 1)} to act on"
    return phrases


def _where(payment: Payment) -> str:
    return f"Pledge: {payment.pledge_id}. Payment: {payment.gateway_reference}."
