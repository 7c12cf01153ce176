"""Amount changes of recurring pledges, on both databases: requested once, and completed after a failure."""

import uuid
from contextlib import nullcontext
from typing import Any

import pytest
from sqlalchemy import select

from schemas.enums import Frequency
from service.container import Container
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.domain.campaigns.definitions import get_campaign
from service.domain.errors import (
    AmountBelowMinimum,
    AmountNotChargeable,
    FrequencyNotOffered,
    InvalidTransition,
    PaymentRequestRejected,
    PaymentsUnavailable,
)
from service.domain.money import Money
from service.domain.payments.event_handlers import SandboxCharge, record_sandbox_payment
from service.domain.pledges.pledges import CreatePledge, create_pledge, total_charge
from service.domain.pledges.subscriptions import change_amount, complete_amount_change
from service.domain.ports import ChargeLimits, GatewayRejected, GatewayUnavailable
from service.gateways.sandbox import SandboxGateway


class RecordingGateway(SandboxGateway):
    """Records the amounts requested; raises `error` if it is set."""

    def __init__(self, container: Container) -> None:
        super().__init__(container.database.keyring, "http://desk.test")
        self.requested: list[Money] = []
        self.error: Exception | None = None
        self.step = 1

    def charge_limits(self, currency: str) -> ChargeLimits:
        return ChargeLimits(step_minor=self.step)

    def update_subscription_amount(
        self,
        subscription: str,
        money: Money,
        *,
        pledge_id: uuid.UUID,
        expected: Money | None = None,
        frequency: Frequency | None = None,
    ) -> None:
        if self.error is not None:
            raise self.error
        self.requested.append(money)


@pytest.fixture
def gateway(any_database: Container) -> RecordingGateway:
    return RecordingGateway(any_database)


def create_recurring_pledge(
    container: Container, frequency: Frequency = Frequency.MONTHLY, fees: int = 0
) -> uuid.UUID:
    """Create a paid pledge of $5 and return its id."""
    with container.database.transaction() as session:
        payload = CreatePledge(campaign="default", frequency=frequency, amount=500, currency="USD")
        pledge = create_pledge(
            session, get_campaign(session, "default"), payload, gateway="sandbox", now=container.clock()
        )
        pledge.fees_minor = fees
        charge = SandboxCharge(reference=f"paid-{pledge.id}", money=total_charge(pledge))
        record_sandbox_payment(session, pledge.id, charge, email=None, now=container.clock())
        return pledge.id


def stored(container: Container, pledge_id: uuid.UUID) -> tuple[int, int, int | None]:
    with container.database.read_only() as session:
        pledge = session.get_one(Pledge, pledge_id)
        return pledge.amount_minor, pledge.fees_minor, pledge.pending_amount_minor


def change(container: Container, gateway: RecordingGateway, pledge_id: uuid.UUID, amount: int) -> None:
    change_amount(container.database.transaction, gateway, pledge_id, amount, clock=container.clock, lang="en")


def test_requested_amount_equals_stored_amount(any_database: Container, gateway: RecordingGateway) -> None:
    pledge_id = create_recurring_pledge(any_database)
    change(any_database, gateway, pledge_id, 1250)
    assert (gateway.requested, stored(any_database, pledge_id)) == ([Money(1250, "USD")], (1250, 0, None))


def test_amount_change_keeps_covering_fees(any_database: Container, gateway: RecordingGateway) -> None:
    with any_database.database.transaction() as session:
        session.scalars(select(Campaign)).one().cover_fees = {"USD": {"basis_points": 290, "fixed": 30}}
    pledge_id = create_recurring_pledge(any_database, fees=46)
    change(any_database, gateway, pledge_id, 1000)
    # (1000 + 30) / (1 - 0.029) = 1060.76…, so 1061 leaves the newsroom the amount chosen.
    assert (gateway.requested, stored(any_database, pledge_id)) == ([Money(1061, "USD")], (1000, 61, None))


def test_pending_amount_is_completed_after_gateway_outage(
    any_database: Container, gateway: RecordingGateway
) -> None:
    pledge_id = create_recurring_pledge(any_database)
    gateway.error = GatewayUnavailable()
    with pytest.raises(PaymentsUnavailable):
        change(any_database, gateway, pledge_id, 900)
    assert stored(any_database, pledge_id) == (500, 0, 900)
    gateway.error = None
    for _ in range(2):
        complete_amount_change(any_database.database.transaction, gateway, pledge_id, clock=any_database.clock)
    assert (gateway.requested, stored(any_database, pledge_id)) == ([Money(900, "USD")], (900, 0, None))


def test_rejected_amount_change_is_discarded(any_database: Container, gateway: RecordingGateway) -> None:
    pledge_id = create_recurring_pledge(any_database)
    gateway.error = GatewayRejected("It has ended.")
    with pytest.raises(PaymentRequestRejected):
        change(any_database, gateway, pledge_id, 900)
    assert stored(any_database, pledge_id) == (500, 0, None)


def test_later_of_two_concurrent_amount_changes_wins(
    any_database: Container, gateway: RecordingGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    pledge_id = create_recurring_pledge(any_database)
    update_amount = gateway.update_subscription_amount

    def change_concurrently(subscription: str, money: Money, **options: Any) -> None:
        update_amount(subscription, money, **options)
        if money.amount_minor == 900:
            change(any_database, gateway, pledge_id, 700)

    monkeypatch.setattr(gateway, "update_subscription_amount", change_concurrently)
    change(any_database, gateway, pledge_id, 900)
    assert gateway.requested[-1] == Money(700, "USD")
    assert stored(any_database, pledge_id) == (700, 0, None)


@pytest.mark.parametrize("first_is_refused", [False, True])
def test_later_amount_stays_pending_during_gateway_outage(
    any_database: Container, gateway: RecordingGateway, monkeypatch: pytest.MonkeyPatch, *, first_is_refused: bool
) -> None:
    pledge_id = create_recurring_pledge(any_database)
    update_amount = gateway.update_subscription_amount

    def change_concurrently(subscription: str, money: Money, **options: Any) -> None:
        update_amount(subscription, money, **options)
        if money.amount_minor == 900:
            gateway.error = GatewayUnavailable()
            with pytest.raises(PaymentsUnavailable):
                change(any_database, gateway, pledge_id, 700)
            gateway.error = None
            if first_is_refused:
                raise GatewayRejected("Not this amount.")

    monkeypatch.setattr(gateway, "update_subscription_amount", change_concurrently)
    with pytest.raises(PaymentRequestRejected) if first_is_refused else nullcontext():
        change(any_database, gateway, pledge_id, 900)
    assert stored(any_database, pledge_id) == (500, 0, 700)
    complete_amount_change(any_database.database.transaction, gateway, pledge_id, clock=any_database.clock)
    assert (gateway.requested, stored(any_database, pledge_id)) == (
        [Money(900, "USD"), Money(700, "USD")],
        (700, 0, None),
    )


@pytest.mark.parametrize(
    ("amount", "step", "error"), [(199, 1, AmountBelowMinimum), (505, 10, AmountNotChargeable)]
)
def test_invalid_amount_is_never_requested(
    any_database: Container, gateway: RecordingGateway, amount: int, step: int, error: type[Exception]
) -> None:
    pledge_id, gateway.step = create_recurring_pledge(any_database), step
    with pytest.raises(error):
        change(any_database, gateway, pledge_id, amount)
    assert (gateway.requested, stored(any_database, pledge_id)) == ([], (500, 0, None))


def test_one_time_pledge_refuses_amount_change(any_database: Container, gateway: RecordingGateway) -> None:
    pledge_id = create_recurring_pledge(any_database, Frequency.ONCE)
    with pytest.raises(InvalidTransition):
        change(any_database, gateway, pledge_id, 900)


def test_amount_change_is_refused_when_frequency_is_no_longer_offered(
    any_database: Container, gateway: RecordingGateway
) -> None:
    pledge_id = create_recurring_pledge(any_database)
    with any_database.database.transaction() as session:
        campaign = session.scalars(select(Campaign)).one()
        campaign.pledge_options = [
            option for option in campaign.pledge_options if option.frequency == Frequency.ONCE
        ]
    with pytest.raises(FrequencyNotOffered):
        change(any_database, gateway, pledge_id, 900)
