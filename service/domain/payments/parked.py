"""Parked events: how many there are, what to do about each, and the alert to staff."""

import datetime
from collections import Counter
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.enums import EventStatus
from service.db.models.payment import GatewayEvent
from service.db.types import equals_literal
from service.domain.email.outbox import enqueue_alert
from service.domain.payments.event_handlers import (
    PAID_ALREADY,
    PAID_LESS,
    UNKNOWN_PAYMENT,
    UNKNOWN_SUBSCRIPTION,
)
from service.domain.pledges.subscription_reports import OTHER_SUBSCRIPTION

# Events of these kinds report money that a reader paid, or that went back.
MONEY_KINDS: Final = (
    "invoice.paid",
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "charge.",
    "refund.",
)
NO_PLEDGE: Final = "There is no pledge with this id."
APPLY: Final = "Fix the cause, then run: mainstay stripe apply {event}"
ATTACH: Final = "mainstay stripe attach {event} --pledge PLEDGE_ID"
# A reason for parking, and what resolves it.
ADVICE: Final = {
    NO_PLEDGE: f"Its pledge is not in this database. Restore it, or choose another: {ATTACH}",
    UNKNOWN_SUBSCRIPTION: f"If staff made this subscription at Stripe, say for which pledge: {ATTACH}",
    OTHER_SUBSCRIPTION: (
        f"If staff made a new subscription for this pledge, cancel the old one, then run: {ATTACH}"
    ),
    PAID_ALREADY: f"Refund it at Stripe, or count it as a second payment of the pledge: {ATTACH}",
    PAID_LESS: f"Refund it at Stripe, or count it all the same: {ATTACH}",
    UNKNOWN_PAYMENT: "Run mainstay stripe reconcile to find its payment, or attach the event of that payment.",
}


def is_about_money(kind: str) -> bool:
    """Whether events of this kind report money."""
    return kind.startswith(MONEY_KINDS)


def advice(event: GatewayEvent) -> str | None:
    """Return what staff can do about a parked event; None for any other."""
    if event.status != EventStatus.PARKED:
        return None
    return ADVICE.get(event.reason or "", APPLY).format(event=event.id)


def count_parked(session: Session) -> Counter[str]:
    """Return the number of parked events by kind."""
    rows = session.execute(
        select(GatewayEvent.kind, func.count())
        .where(equals_literal(GatewayEvent.status, EventStatus.PARKED))
        .group_by(GatewayEvent.kind)
    ).all()
    return Counter(dict(rows))


def describe_parked(session: Session) -> dict[str, str]:
    """Return a phrase about the parked events by its topic; nothing if there are none."""
    parked = count_parked(session)
    about_money = sum(count for kind, count in parked.items() if is_about_money(kind))
    if not parked:
        return {}
    return {
        "parked_events": (
            f"{parked.total()} parked, of which {about_money} about money; "
            "see mainstay stripe events --status parked"
        )
    }


def enqueue_parked_alert(session: Session, event: GatewayEvent, *, now: datetime.datetime) -> None:
    """Tell staff that an event was parked: one email a day about money, and one about anything else."""
    about_money = is_about_money(event.kind)
    enqueue_alert(
        session,
        "parked_money" if about_money else "parked_event",
        subject="Money at Stripe needs your attention"
        if about_money
        else "An event from Stripe needs your attention",
        body=(
            f"Mainstay could not apply {event.reference} ({event.kind}) and has parked it: {event.reason}\n\n"
            f"{advice(event)}\n\n"
            "There may be others, about which no further email comes today. List them with mainstay stripe events "
            "--status parked, or at GET /v1/admin/events?status=parked."
        ),
        now=now,
    )
