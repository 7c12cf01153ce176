"""Locking in the event handlers: each locks the pledge first and reads its payments afterwards."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import DisputeStatus, Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.container import Container
from service.db.models.pledge import Pledge, PledgeStatusChange
from service.domain.errors import InvalidTransition, PledgeNotFound
from service.domain.money import Money
from service.domain.payments.event_handlers import (
    SandboxCharge,
    handle_event,
    record_sandbox_decline,
    record_sandbox_payment,
)
from service.domain.pledges.pledges import get_pledge
from service.domain.pledges.subscriptions import cancel_pledge, change_amount
from service.domain.ports import NO_LIMITS, ChargeLimits
from service.domain.ports.payment_events import CheckoutCompleted, CheckoutExpired, RenewalUpcoming
from tests.domain.ledger import GATEWAY, Ledger
from tests.interleaving import Interleaving, must_wait

REPEATED: dict[str, Callable[[Ledger, uuid.UUID], Any]] = {
    "payment succeeded": lambda ledger, pledge: ledger.payment_succeeded(pledge),
    "payment failed": lambda ledger, pledge: ledger.payment_failed(pledge),
    "subscription updated": lambda ledger, pledge: ledger.subscription_updated(pledge, money=Money(500, "USD")),
    "subscription updated, by its reference": lambda ledger, _: ledger.subscription_updated(None),
    "renewal upcoming": lambda ledger, pledge: RenewalUpcoming(
        subscription="sub_1",
        renews_at=ledger.container.clock(),
        occurred_at=ledger.container.clock(),
        pledge_id=pledge,
    ),
    "checkout completed": lambda ledger, pledge: CheckoutCompleted(
        pledge_id=pledge, occurred_at=ledger.container.clock()
    ),
    "checkout expired": lambda ledger, pledge: CheckoutExpired(
        pledge_id=pledge, occurred_at=ledger.container.clock()
    ),
    "refund updated": lambda ledger, _: ledger.refund_updated(amount=100),
    "dispute updated": lambda ledger, _: ledger.dispute_updated(),
}


def lock(pledge: uuid.UUID) -> Callable[[Session], object]:
    return lambda session: session.scalars(select(Pledge).where(Pledge.id == pledge).with_for_update()).one()


@pytest.fixture
def active_pledge(ledger: Ledger) -> uuid.UUID:
    """Return a monthly pledge of $5 to which each event of `REPEATED` was applied once."""
    pledge = ledger.create_pledge(Frequency.MONTHLY)
    ledger.apply(ledger.payment_succeeded(pledge))
    ledger.apply(
        *(build(ledger, pledge) for build in REPEATED.values() if build is not REPEATED["payment succeeded"])
    )
    return pledge


@pytest.mark.parametrize("kind", REPEATED)
def test_event_locks_its_pledge_until_the_transaction_ends(
    ledger: Ledger, container: Container, active_pledge: uuid.UUID, kind: str
) -> None:
    # A repeated event writes nothing, so only the explicit lock can make another transaction wait.
    with container.database.transaction() as session:
        handle_event(session, GATEWAY, REPEATED[kind](ledger, active_pledge), now=container.clock())
        assert must_wait(container, lock(active_pledge))
    assert not must_wait(container, lock(active_pledge))


@pytest.mark.parametrize(
    "report",
    [
        lambda session, pledge, charge, now: record_sandbox_payment(session, pledge, charge, email=None, now=now),
        lambda session, pledge, charge, now: record_sandbox_decline(
            session, pledge, SandboxCharge(reference="try_1", money=charge.money), now=now
        ),
        lambda session, pledge, charge, now: get_pledge(session, pledge, for_update=True),
    ],
    ids=["payment", "decline", "get for update"],
)
def test_sandbox_report_locks_its_pledge_until_the_transaction_ends(
    container: Container, active_pledge: uuid.UUID, report: Callable[..., object]
) -> None:
    charge = SandboxCharge(reference="pay_1", money=Money(500, "USD"))
    with container.database.transaction() as session:
        report(session, active_pledge, charge, container.clock())
        assert must_wait(container, lock(active_pledge))


def test_reading_a_pledge_takes_no_lock(ledger: Ledger, container: Container) -> None:
    pledge = ledger.create_pledge()
    with container.database.transaction() as session:
        get_pledge(session, pledge)
        assert not must_wait(container, lock(pledge))


def test_concurrent_payments_are_applied_one_after_the_other(
    ledger: Ledger, container: Container, between: Interleaving
) -> None:
    pledge = ledger.create_pledge(Frequency.MONTHLY)
    between.before_lock("pledges", lambda: ledger.apply(ledger.payment_succeeded(pledge, "pay_1")))
    ledger.apply(ledger.payment_succeeded(pledge, "pay_2"))
    with container.database.read_only() as session:
        status_events = session.scalars(
            select(PledgeStatusChange.event).where(PledgeStatusChange.pledge_id == pledge)
        ).all()
    # The second payment renews the pledge; a read before the lock would start it twice.
    assert sorted(status_events) == ["made", "renew", "start"]


def test_payment_status_is_read_after_the_lock(ledger: Ledger, between: Interleaving) -> None:
    pledge = ledger.create_pledge()
    ledger.apply(ledger.payment_succeeded(pledge))
    # The payment is found as `succeeded`, refunded before the lock, and `succeeded` again by this event.
    between.before_lock("pledges", lambda: ledger.apply(ledger.refund_updated()))
    ledger.apply(ledger.refund_updated(status=RefundStatus.FAILED))
    assert ledger.get_payment().status == PaymentStatus.SUCCEEDED
    assert ledger.get_pledge(pledge).status == PledgeStatus.COMPLETED


def test_concurrent_refund_survives_a_won_dispute(ledger: Ledger, between: Interleaving) -> None:
    ledger.apply(ledger.payment_succeeded(ledger.create_pledge()), ledger.dispute_updated())
    between.before_lock("pledges", lambda: ledger.apply(ledger.refund_updated("re_1", 200)))
    ledger.apply(ledger.dispute_updated(DisputeStatus.WON))
    assert ledger.get_payment().status == PaymentStatus.PARTIALLY_REFUNDED


def test_event_of_another_gateways_pledge_is_refused(ledger: Ledger, container: Container) -> None:
    pledge = ledger.create_pledge()
    with pytest.raises(PledgeNotFound), container.database.transaction() as session:
        handle_event(session, "another", ledger.payment_succeeded(pledge), now=container.clock())
    assert ledger.totals() == []


class FakeGateway:
    """A gateway that accepts every operation and records its calls."""

    name = GATEWAY

    def __init__(self) -> None:
        self.calls: list[str] = []

    def charge_limits(self, currency: str) -> ChargeLimits:
        return NO_LIMITS

    def update_subscription_amount(
        self,
        subscription: str,
        money: Money,
        *,
        pledge_id: uuid.UUID,
        expected: Money | None = None,
        frequency: Frequency | None = None,
    ) -> None:
        self.calls.append("update_subscription_amount")

    def cancel_subscription(self, subscription: str) -> None:
        self.calls.append("cancel_subscription")


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def cancel(container: Container, gateway: FakeGateway, active_pledge: uuid.UUID) -> Callable[[], object]:
    return lambda: cancel_pledge(container.database.transaction, gateway, active_pledge, clock=container.clock)


@pytest.fixture
def change(container: Container, gateway: FakeGateway, active_pledge: uuid.UUID) -> Callable[[int], object]:
    return lambda amount: change_amount(
        container.database.transaction, gateway, active_pledge, amount, clock=container.clock, lang="en"
    )


def test_amount_change_after_a_concurrent_cancellation_is_refused(
    gateway: FakeGateway, between: Interleaving, cancel: Callable[[], object], change: Callable[[int], object]
) -> None:
    between.before_lock("pledges", cancel)
    with pytest.raises(InvalidTransition):
        change(900)
    assert gateway.calls == ["cancel_subscription"]


def test_concurrent_cancellations_call_the_gateway_once(
    ledger: Ledger,
    gateway: FakeGateway,
    between: Interleaving,
    cancel: Callable[[], object],
    active_pledge: uuid.UUID,
) -> None:
    between.before_lock("pledges", cancel)
    cancel()
    assert gateway.calls == ["cancel_subscription"]
    assert ledger.get_pledge(active_pledge).status == PledgeStatus.CANCELLED


def test_amount_change_does_not_overwrite_a_concurrent_one(
    ledger: Ledger,
    gateway: FakeGateway,
    between: Interleaving,
    change: Callable[[int], object],
    active_pledge: uuid.UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    update_amount = gateway.update_subscription_amount

    def first_call(*args: Any, **kwargs: Any) -> None:
        monkeypatch.undo()
        update_amount(*args, **kwargs)
        between.before_lock("pledges", lambda: change(700))

    monkeypatch.setattr(gateway, "update_subscription_amount", first_call)
    change(900)
    pledge = ledger.get_pledge(active_pledge)
    assert (pledge.amount_minor, pledge.pending_amount_minor) == (700, None)
