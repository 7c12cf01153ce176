"""Refunds by staff beside whatever else happens to the same payment."""

import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from schemas.enums import DisputeStatus, PaymentStatus, PledgeStatus, RefundStatus
from service.container import Container
from service.db.models.payment import Refund
from service.domain.errors import IdempotencyKeyReused, InvalidTransition, PaymentRequestRejected, RefundTooLarge
from service.domain.payments.refunds import refund_payment
from service.domain.ports import GatewayRejected, RefundParams
from tests.domain.ledger import GATEWAY, Ledger
from tests.interleaving import Interleaving

KEY = "refund-key-1"


class Till:
    """A gateway that sends money back, and does as `meanwhile` says before it answers."""

    name = GATEWAY

    def __init__(self) -> None:
        self.orders: list[RefundParams] = []
        self.meanwhile: Callable[[RefundParams], None] = lambda _: None

    def create_refund(self, order: RefundParams) -> str:
        self.orders.append(order)
        self.meanwhile(order)
        return f"re_{order.refund_id}"


@pytest.fixture
def till() -> Till:
    return Till()


@pytest.fixture
def pledge(ledger: Ledger) -> uuid.UUID:
    """Return a one-time pledge of $5 that was paid."""
    pledge = ledger.pledge()
    ledger.tell(ledger.paid(pledge))
    return pledge


@pytest.fixture
def send_back(ledger: Ledger, container: Container, till: Till) -> Callable[..., Refund]:
    """Return a way to refund its payment."""

    def send_back(amount: int | None = None, key: str = KEY, payment: str = "pay_1") -> Refund:
        transaction, payment_id = container.database.transaction, ledger.payment(payment).id
        return refund_payment(transaction, till, payment_id, amount_minor=amount, key=key, clock=container.clock)

    return send_back


def failure_of(ledger: Ledger, order: RefundParams) -> Callable[[], None]:
    """Return a way to let the gateway tell that a refund did not arrive."""
    news = ledger.refunded(f"re_{order.refund_id}", refund_id=order.refund_id, failed=True)
    return lambda: ledger.tell(news)


def holds_after_a_failure(ledger: Ledger, pledge: uuid.UUID, till: Till) -> None:
    [order] = till.orders
    assert ledger.refund(f"re_{order.refund_id}").status == RefundStatus.FAILED
    assert ledger.payment().status == PaymentStatus.SUCCEEDED
    assert ledger.read_pledge(pledge).status == PledgeStatus.COMPLETED
    assert ledger.totals()[0].net == 500


def test_refund_that_fails_during_its_order_is_not_marked_succeeded(
    ledger: Ledger, till: Till, pledge: uuid.UUID, send_back: Callable[..., Refund]
) -> None:
    till.meanwhile = lambda order: failure_of(ledger, order)()
    assert send_back().status == RefundStatus.FAILED
    holds_after_a_failure(ledger, pledge, till)


def test_refund_that_fails_before_its_pledge_is_locked_is_not_marked_succeeded(
    ledger: Ledger, till: Till, pledge: uuid.UUID, send_back: Callable[..., Refund], between: Interleaving
) -> None:
    till.meanwhile = lambda order: between.before_lock("pledges", failure_of(ledger, order))
    assert send_back().status == RefundStatus.FAILED
    holds_after_a_failure(ledger, pledge, till)


@pytest.mark.usefixtures("pledge")
def test_concurrent_refunds_never_return_more_than_was_paid(
    ledger: Ledger, till: Till, send_back: Callable[..., Refund], between: Interleaving
) -> None:
    between.before_lock("pledges", lambda: send_back(300, "another-key"))
    with pytest.raises(RefundTooLarge, match="Only 200"):
        send_back(300)
    assert [order.money.amount_minor for order in till.orders] == [300]
    assert ledger.totals()[0].refunded == 300


@pytest.mark.usefixtures("pledge")
def test_concurrent_requests_with_one_key_make_one_refund(
    container: Container, till: Till, send_back: Callable[..., Refund], between: Interleaving
) -> None:
    first: list[Refund] = []
    between.before_lock("pledges", lambda: first.append(send_back(300)))
    assert send_back(300).id == first[0].id
    assert len(till.orders) == 1
    with container.database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(Refund)) == 1


@pytest.mark.usefixtures("pledge")
def test_what_is_on_its_way_back_is_not_left_for_another_refund(
    till: Till, send_back: Callable[..., Refund]
) -> None:
    refused: list[type[Exception]] = []

    def ask_for_more(_: RefundParams) -> None:
        till.meanwhile = lambda _: None
        for amount, error in ((1, RefundTooLarge), (None, InvalidTransition)):
            with pytest.raises(error):
                send_back(amount, "another-key")
            refused.append(error)

    till.meanwhile = ask_for_more
    assert send_back(500).status == RefundStatus.SUCCEEDED
    assert refused == [RefundTooLarge, InvalidTransition]


@pytest.mark.usefixtures("pledge")
def test_a_refund_that_is_only_requested_does_not_count_as_gone(
    ledger: Ledger, till: Till, send_back: Callable[..., Refund]
) -> None:
    seen: list[PaymentStatus] = []

    def meanwhile(_: RefundParams) -> None:
        ledger.tell(ledger.disputed(DisputeStatus.WON))
        seen.append(ledger.payment().status)

    till.meanwhile = meanwhile
    send_back(200)
    assert seen == [PaymentStatus.SUCCEEDED]
    assert ledger.payment().status == PaymentStatus.PARTIALLY_REFUNDED


def test_refused_refund_fails_for_good_and_leaves_its_money_to_another_key(
    ledger: Ledger, till: Till, pledge: uuid.UUID, send_back: Callable[..., Refund]
) -> None:
    def refuse(_: RefundParams) -> None:
        raise GatewayRejected("The charge is too old.")

    till.meanwhile = refuse
    for _ in range(2):
        with pytest.raises(PaymentRequestRejected, match="too old"):
            send_back()
    assert len(till.orders) == 1
    assert ledger.payment().status == PaymentStatus.SUCCEEDED
    till.meanwhile = lambda _: None
    assert send_back(key="another-key").amount_minor == 500
    assert ledger.read_pledge(pledge).status == PledgeStatus.REFUNDED


@pytest.mark.usefixtures("pledge")
def test_key_of_one_refund_is_refused_for_another_payment_or_amount(
    ledger: Ledger, send_back: Callable[..., Refund]
) -> None:
    ledger.tell(ledger.paid(ledger.pledge(), "pay_2"))
    made = send_back(200)
    assert send_back().id == send_back(200).id == made.id
    for change in ({"amount": 201}, {"amount": 200, "payment": "pay_2"}):
        with pytest.raises(IdempotencyKeyReused):
            send_back(**change)


@pytest.mark.usefixtures("pledge")
@pytest.mark.parametrize("status", [PaymentStatus.DISPUTED, PaymentStatus.FAILED, PaymentStatus.REFUNDED])
def test_money_that_is_not_with_the_newsroom_cannot_be_refunded(
    ledger: Ledger, till: Till, send_back: Callable[..., Refund], status: PaymentStatus
) -> None:
    if status == PaymentStatus.DISPUTED:
        ledger.tell(ledger.disputed())
    elif status == PaymentStatus.REFUNDED:
        ledger.tell(ledger.refunded())
    else:
        ledger.tell(ledger.not_paid(ledger.pledge()))
    with pytest.raises(InvalidTransition):
        send_back(1, payment="try_1" if status == PaymentStatus.FAILED else "pay_1")
    assert till.orders == []
