"""Refunds by staff, concurrent with other changes to the same payment."""

import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from schemas.enums import DisputeStatus, PaymentStatus, PledgeStatus, RefundStatus
from service.container import Container
from service.db.models.payment import Refund
from service.domain.errors import (
    IdempotencyKeyReused,
    InvalidTransition,
    PaymentRequestRejected,
    RefundAlreadyMade,
    RefundTooLarge,
)
from service.domain.payments.refunds import refund_payment, withdraw_refund
from service.domain.ports import Clock, GatewayRefunds, GatewayRejected, RefundParams
from service.domain.ports.payment_events import RefundUpdated
from tests.domain.ledger import GATEWAY, Ledger
from tests.interleaving import Interleaving

KEY = "refund-key-1"


class FakeGateway:
    """A gateway that refunds, and calls `during_refund` before it returns."""

    name = GATEWAY

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.requests: list[RefundParams] = []
        self.status = RefundStatus.SUCCEEDED
        self.during_lookup: Callable[[], object] = lambda: None
        self.during_refund: Callable[[RefundParams], None] = lambda _: None

    def find_refunds(self, payment_reference: str) -> GatewayRefunds:
        self.during_lookup()
        return GatewayRefunds(payment_reference=payment_reference, refunds=())

    def create_refund(self, params: RefundParams) -> RefundUpdated:
        self.requests.append(params)
        self.during_refund(params)
        return RefundUpdated(
            references=(params.payment_reference,),
            refund=f"re_{params.refund_id}",
            money=params.money,
            occurred_at=self.clock(),
            refund_id=params.refund_id,
            status=self.status,
        )


@pytest.fixture
def gateway(container: Container) -> FakeGateway:
    return FakeGateway(container.clock)


@pytest.fixture
def pledge(ledger: Ledger) -> uuid.UUID:
    """Return a one-time pledge of $5 that was paid."""
    pledge = ledger.create_pledge()
    ledger.apply(ledger.payment_succeeded(pledge))
    return pledge


@pytest.fixture
def refund(ledger: Ledger, container: Container, gateway: FakeGateway) -> Callable[..., Refund]:
    """Return a function that refunds the payment of `pledge`."""

    def refund(amount: int | None = None, key: str = KEY, payment: str = "pay_1") -> Refund:
        transaction, payment_id = container.database.transaction, ledger.get_payment(payment).id
        return refund_payment(
            transaction, gateway, payment_id, amount_minor=amount, key=key, clock=container.clock
        )

    return refund


def failure_event(ledger: Ledger, params: RefundParams) -> Callable[[], None]:
    """Return a function that applies the event of a failed refund."""
    event = ledger.refund_updated(f"re_{params.refund_id}", refund_id=params.refund_id, status=RefundStatus.FAILED)
    return lambda: ledger.apply(event)


def assert_refund_failed(ledger: Ledger, pledge: uuid.UUID, gateway: FakeGateway) -> None:
    [params] = gateway.requests
    assert ledger.get_refund(f"re_{params.refund_id}").status == RefundStatus.FAILED
    assert ledger.get_payment().status == PaymentStatus.SUCCEEDED
    assert ledger.get_pledge(pledge).status == PledgeStatus.COMPLETED
    assert ledger.totals()[0].net == 500


def test_refund_that_fails_during_the_gateway_call_is_not_marked_succeeded(
    ledger: Ledger, gateway: FakeGateway, pledge: uuid.UUID, refund: Callable[..., Refund]
) -> None:
    gateway.during_refund = lambda params: failure_event(ledger, params)()
    assert refund().status == RefundStatus.FAILED
    assert_refund_failed(ledger, pledge, gateway)


def test_refund_that_fails_before_its_pledge_is_locked_is_not_marked_succeeded(
    ledger: Ledger, gateway: FakeGateway, pledge: uuid.UUID, refund: Callable[..., Refund], between: Interleaving
) -> None:
    gateway.during_refund = lambda params: between.before_lock("pledges", failure_event(ledger, params))
    assert refund().status == RefundStatus.FAILED
    assert_refund_failed(ledger, pledge, gateway)


@pytest.mark.usefixtures("pledge")
def test_concurrent_refunds_never_return_more_than_was_paid(
    ledger: Ledger, gateway: FakeGateway, refund: Callable[..., Refund], between: Interleaving
) -> None:
    between.before_lock("pledges", lambda: refund(300, "another-key"))
    with pytest.raises(RefundTooLarge, match="Only 200"):
        refund(300)
    assert [params.money.amount_minor for params in gateway.requests] == [300]
    assert ledger.totals()[0].refunded == 300


@pytest.mark.usefixtures("pledge")
def test_concurrent_requests_with_one_key_make_one_refund(
    container: Container, gateway: FakeGateway, refund: Callable[..., Refund], between: Interleaving
) -> None:
    first: list[Refund] = []
    between.before_lock("pledges", lambda: first.append(refund(300)))
    assert refund(300).id == first[0].id
    assert len(gateway.requests) == 1
    with container.database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(Refund)) == 1


@pytest.mark.usefixtures("pledge")
def test_pending_refund_reserves_its_amount(gateway: FakeGateway, refund: Callable[..., Refund]) -> None:
    errors: list[type[Exception]] = []

    def request_more(_: RefundParams) -> None:
        gateway.during_refund = lambda _: None
        for amount, error in ((1, RefundTooLarge), (None, InvalidTransition)):
            with pytest.raises(error):
                refund(amount, "another-key")
            errors.append(error)

    gateway.during_refund = request_more
    assert refund(500).status == RefundStatus.SUCCEEDED
    assert errors == [RefundTooLarge, InvalidTransition]


@pytest.mark.usefixtures("pledge")
def test_requested_refund_does_not_count_as_refunded(
    ledger: Ledger, gateway: FakeGateway, refund: Callable[..., Refund]
) -> None:
    seen: list[PaymentStatus] = []

    def during_refund(_: RefundParams) -> None:
        ledger.apply(ledger.dispute_updated(DisputeStatus.WON))
        seen.append(ledger.get_payment().status)

    gateway.during_refund = during_refund
    refund(200)
    assert seen == [PaymentStatus.SUCCEEDED]
    assert ledger.get_payment().status == PaymentStatus.PARTIALLY_REFUNDED


def test_rejected_refund_is_final_and_its_amount_stays_refundable(
    ledger: Ledger, gateway: FakeGateway, pledge: uuid.UUID, refund: Callable[..., Refund]
) -> None:
    def refuse(_: RefundParams) -> None:
        raise GatewayRejected("The charge is too old.")

    gateway.during_refund = refuse
    for _ in range(2):
        with pytest.raises(PaymentRequestRejected, match="too old"):
            refund()
    assert len(gateway.requests) == 1
    assert ledger.get_payment().status == PaymentStatus.SUCCEEDED
    gateway.during_refund = lambda _: None
    assert refund(key="another-key").amount_minor == 500
    assert ledger.get_pledge(pledge).status == PledgeStatus.REFUNDED


@pytest.mark.usefixtures("pledge")
def test_idempotency_key_is_refused_for_another_payment_or_amount(
    ledger: Ledger, refund: Callable[..., Refund]
) -> None:
    ledger.apply(ledger.payment_succeeded(ledger.create_pledge(), "pay_2"))
    made = refund(200)
    assert refund().id == refund(200).id == made.id
    for change in ({"amount": 201}, {"amount": 200, "payment": "pay_2"}):
        with pytest.raises(IdempotencyKeyReused):
            refund(**change)


@pytest.mark.usefixtures("pledge")
@pytest.mark.parametrize("status", [PaymentStatus.DISPUTED, PaymentStatus.FAILED, PaymentStatus.REFUNDED])
def test_disputed_failed_or_refunded_payment_cannot_be_refunded(
    ledger: Ledger, gateway: FakeGateway, refund: Callable[..., Refund], status: PaymentStatus
) -> None:
    if status == PaymentStatus.DISPUTED:
        ledger.apply(ledger.dispute_updated())
    elif status == PaymentStatus.REFUNDED:
        ledger.apply(ledger.refund_updated())
    else:
        ledger.apply(ledger.payment_failed(ledger.create_pledge()))
    with pytest.raises(InvalidTransition):
        refund(1, payment="try_1" if status == PaymentStatus.FAILED else "pay_1")
    assert gateway.requests == []


@pytest.fixture
def withdraw(container: Container, gateway: FakeGateway) -> Callable[[], Refund]:
    """Return a function that withdraws the only refund."""

    def withdraw() -> Refund:
        with container.database.read_only() as session:
            refund_id = session.scalars(select(Refund.id)).one()
        return withdraw_refund(container.database.transaction, gateway, refund_id, clock=container.clock)

    return withdraw


@pytest.mark.usefixtures("pledge")
def test_refund_is_not_withdrawn_during_the_call_to_the_gateway(
    gateway: FakeGateway, refund: Callable[..., Refund], withdraw: Callable[[], Refund]
) -> None:
    errors: list[str] = []

    def during_refund(_: RefundParams) -> None:
        with pytest.raises(RefundAlreadyMade) as raised:
            withdraw()
        errors.append(raised.value.detail)

    gateway.during_refund = during_refund
    assert refund(200).status == RefundStatus.SUCCEEDED
    assert errors == ["This refund is being made right now, so it cannot be withdrawn."]


@pytest.mark.usefixtures("pledge")
@pytest.mark.parametrize("is_at_the_lock", [True, False])
def test_refund_withdrawn_before_its_lease_is_not_made(
    gateway: FakeGateway,
    refund: Callable[..., Refund],
    withdraw: Callable[[], Refund],
    between: Interleaving,
    *,
    is_at_the_lock: bool,
) -> None:
    gateway.during_lookup = (lambda: between.before_lock("pledges", withdraw)) if is_at_the_lock else withdraw
    assert refund(200).status == RefundStatus.WITHDRAWN
    assert gateway.requests == []


@pytest.mark.usefixtures("pledge")
def test_refund_is_made_by_one_of_two_concurrent_requests(
    gateway: FakeGateway, refund: Callable[..., Refund]
) -> None:
    seen: list[RefundStatus] = []

    def during_refund(_: RefundParams) -> None:
        gateway.during_refund = lambda _: None
        seen.append(refund(200).status)

    gateway.during_refund = during_refund
    assert refund(200).status == RefundStatus.SUCCEEDED
    assert (seen, len(gateway.requests)) == ([RefundStatus.REQUESTED], 1)
