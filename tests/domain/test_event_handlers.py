"""All that changes one pledge stands in line: the pledge is locked first, and read as it is from then on."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import DisputeStatus, Frequency, PaymentStatus, PledgeStatus
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
    "paid": lambda ledger, pledge: ledger.paid(pledge),
    "not paid": lambda ledger, pledge: ledger.not_paid(pledge),
    "standing": lambda ledger, pledge: ledger.standing(pledge, money=Money(500, "USD")),
    "standing by subscription": lambda ledger, _: ledger.standing(None),
    "renewal ahead": lambda ledger, pledge: RenewalUpcoming(
        subscription="sub_1", renews_at=ledger.container.clock(), pledge_id=pledge
    ),
    "checkout done": lambda ledger, pledge: CheckoutCompleted(
        pledge_id=pledge, occurred_at=ledger.container.clock()
    ),
    "checkout closed": lambda ledger, pledge: CheckoutExpired(
        pledge_id=pledge, occurred_at=ledger.container.clock()
    ),
    "refunded": lambda ledger, _: ledger.refunded(amount=100),
    "disputed": lambda ledger, _: ledger.disputed(),
}


def hold(pledge: uuid.UUID) -> Callable[[Session], object]:
    return lambda session: session.scalars(select(Pledge).where(Pledge.id == pledge).with_for_update()).one()


@pytest.fixture
def running(ledger: Ledger) -> uuid.UUID:
    """Return a monthly pledge of $5 of which everything was told once."""
    pledge = ledger.pledge(Frequency.MONTHLY)
    ledger.tell(ledger.paid(pledge))
    ledger.tell(*(make(ledger, pledge) for make in REPEATED.values() if make is not REPEATED["paid"]))
    return pledge


@pytest.mark.parametrize("kind", REPEATED)
def test_news_holds_its_pledge_until_the_transaction_ends(
    ledger: Ledger, container: Container, running: uuid.UUID, kind: str
) -> None:
    # What is repeated writes nothing, so that only the lock that is asked for can keep another waiting.
    with container.database.transaction() as session:
        handle_event(session, GATEWAY, REPEATED[kind](ledger, running), now=container.clock())
        assert must_wait(container, hold(running))
    assert not must_wait(container, hold(running))


@pytest.mark.parametrize(
    "report",
    [
        lambda session, pledge, charge, now: record_sandbox_payment(session, pledge, charge, email=None, now=now),
        lambda session, pledge, charge, now: record_sandbox_decline(
            session, pledge, SandboxCharge(reference="try_1", money=charge.money), now=now
        ),
        lambda session, pledge, charge, now: get_pledge(session, pledge, for_update=True),
    ],
    ids=["settle", "fail", "find to change"],
)
def test_a_report_holds_its_pledge_until_the_transaction_ends(
    container: Container, running: uuid.UUID, report: Callable[..., object]
) -> None:
    charge = SandboxCharge(reference="pay_1", money=Money(500, "USD"))
    with container.database.transaction() as session:
        report(session, running, charge, container.clock())
        assert must_wait(container, hold(running))


def test_reading_a_pledge_keeps_nobody_waiting(ledger: Ledger, container: Container) -> None:
    pledge = ledger.pledge()
    with container.database.transaction() as session:
        get_pledge(session, pledge)
        assert not must_wait(container, hold(pledge))


def test_two_payments_at_once_are_told_one_after_the_other(
    ledger: Ledger, container: Container, between: Interleaving
) -> None:
    pledge = ledger.pledge(Frequency.MONTHLY)
    between.before_lock("pledges", lambda: ledger.tell(ledger.paid(pledge, "pay_1")))
    ledger.tell(ledger.paid(pledge, "pay_2"))
    with container.database.read_only() as session:
        moves = session.scalars(
            select(PledgeStatusChange.event).where(PledgeStatusChange.pledge_id == pledge)
        ).all()
    # The second money of a pledge renews it; a stale look would have started it twice.
    assert sorted(moves) == ["made", "renew", "start"]


def test_payment_status_is_read_after_the_lock_and_follows_the_last_word(
    ledger: Ledger, between: Interleaving
) -> None:
    pledge = ledger.pledge()
    ledger.tell(ledger.paid(pledge))
    # Found as `succeeded`; refunded until the pledge is held; and `succeeded` again by what is told here.
    between.before_lock("pledges", lambda: ledger.tell(ledger.refunded()))
    ledger.tell(ledger.refunded(failed=True))
    assert ledger.payment().status == PaymentStatus.SUCCEEDED
    assert ledger.read_pledge(pledge).status == PledgeStatus.COMPLETED


def test_a_refund_during_a_dispute_that_is_won_is_not_forgotten(ledger: Ledger, between: Interleaving) -> None:
    ledger.tell(ledger.paid(ledger.pledge()), ledger.disputed())
    between.before_lock("pledges", lambda: ledger.tell(ledger.refunded("re_1", 200)))
    ledger.tell(ledger.disputed(DisputeStatus.WON))
    assert ledger.payment().status == PaymentStatus.PARTIALLY_REFUNDED


def test_news_of_another_gateway_s_pledge_is_refused(ledger: Ledger, container: Container) -> None:
    pledge = ledger.pledge()
    with pytest.raises(PledgeNotFound), container.database.transaction() as session:
        handle_event(session, "another", ledger.paid(pledge), now=container.clock())
    assert ledger.totals() == []


class Till:
    """A gateway that does what it is asked."""

    name = GATEWAY

    def __init__(self) -> None:
        self.asked: list[str] = []

    def charge_limits(self, currency: str) -> ChargeLimits:
        return NO_LIMITS

    def update_subscription_amount(self, subscription: str, money: Money, *, pledge_id: uuid.UUID) -> None:
        self.asked.append("change_amount")

    def cancel_subscription(self, subscription: str) -> None:
        self.asked.append("end_recurring")


@pytest.fixture
def till() -> Till:
    return Till()


@pytest.fixture
def cancel(container: Container, till: Till, running: uuid.UUID) -> Callable[[], object]:
    return lambda: cancel_pledge(container.database.transaction, till, running, clock=container.clock)


@pytest.fixture
def change(container: Container, till: Till, running: uuid.UUID) -> Callable[[int], object]:
    return lambda amount: change_amount(container.database.transaction, till, running, amount, lang="en")


def test_amount_is_not_changed_after_a_cancellation_that_came_first(
    till: Till, between: Interleaving, cancel: Callable[[], object], change: Callable[[int], object]
) -> None:
    between.before_lock("pledges", cancel)
    with pytest.raises(InvalidTransition):
        change(900)
    assert till.asked == ["end_recurring"]


def test_concurrent_cancellations_ask_the_gateway_once(
    ledger: Ledger, till: Till, between: Interleaving, cancel: Callable[[], object], running: uuid.UUID
) -> None:
    between.before_lock("pledges", cancel)
    cancel()
    assert till.asked == ["end_recurring"]
    assert ledger.read_pledge(running).status == PledgeStatus.CANCELLED


def test_outcome_of_a_change_is_written_to_the_pledge_as_it_is_by_then(
    ledger: Ledger,
    till: Till,
    between: Interleaving,
    change: Callable[[int], object],
    running: uuid.UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = till.update_subscription_amount

    def first_order(*said: Any, **named: Any) -> None:
        monkeypatch.undo()
        order(*said, **named)
        between.before_lock("pledges", lambda: change(700))

    monkeypatch.setattr(till, "update_subscription_amount", first_order)
    change(900)
    pledge = ledger.read_pledge(running)
    assert (pledge.amount_minor, pledge.pending_amount_minor) == (700, None)
