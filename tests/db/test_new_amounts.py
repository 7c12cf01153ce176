"""Another amount for a recurring pledge, on both databases: ordered once, and never lost in a crash."""

import uuid
from contextlib import nullcontext

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


class Gateway(SandboxGateway):
    """Remembers what it was asked for, and answers as it is told."""

    def __init__(self, container: Container) -> None:
        super().__init__(container.database.keyring, "http://desk.test")
        self.asked: list[Money] = []
        self.trouble: Exception | None = None
        self.step = 1

    def charge_limits(self, currency: str) -> ChargeLimits:
        return ChargeLimits(step_minor=self.step)

    def update_subscription_amount(self, subscription: str, money: Money, *, pledge_id: uuid.UUID) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.asked.append(money)


@pytest.fixture
def gateway(any_database: Container) -> Gateway:
    return Gateway(any_database)


def running(container: Container, frequency: Frequency = Frequency.MONTHLY, fees: int = 0) -> uuid.UUID:
    """Return the id of a pledge of $5 that was paid."""
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


def change(container: Container, gateway: Gateway, pledge_id: uuid.UUID, amount: int) -> None:
    change_amount(container.database.transaction, gateway, pledge_id, amount, lang="en")


def test_the_gateway_is_asked_for_what_is_then_stored(any_database: Container, gateway: Gateway) -> None:
    pledge_id = running(any_database)
    change(any_database, gateway, pledge_id, 1250)
    assert (gateway.asked, stored(any_database, pledge_id)) == ([Money(1250, "USD")], (1250, 0, None))


def test_who_covers_the_fees_goes_on_covering_them(any_database: Container, gateway: Gateway) -> None:
    with any_database.database.transaction() as session:
        session.scalars(select(Campaign)).one().cover_fees = {"USD": {"basis_points": 290, "fixed": 30}}
    pledge_id = running(any_database, fees=46)
    change(any_database, gateway, pledge_id, 1000)
    # (1000 + 30) / (1 - 0.029) = 1060.76…: with 1061 the newsroom keeps what was chosen.
    assert (gateway.asked, stored(any_database, pledge_id)) == ([Money(1061, "USD")], (1000, 61, None))


def test_a_wish_that_the_gateway_did_not_hear_is_finished_later(any_database: Container, gateway: Gateway) -> None:
    pledge_id = running(any_database)
    gateway.trouble = GatewayUnavailable()
    with pytest.raises(PaymentsUnavailable):
        change(any_database, gateway, pledge_id, 900)
    assert stored(any_database, pledge_id) == (500, 0, 900)
    gateway.trouble = None
    for _ in range(2):
        complete_amount_change(any_database.database.transaction, gateway, pledge_id)
    assert (gateway.asked, stored(any_database, pledge_id)) == ([Money(900, "USD")], (900, 0, None))


def test_a_wish_that_the_gateway_refuses_is_given_up(any_database: Container, gateway: Gateway) -> None:
    pledge_id = running(any_database)
    gateway.trouble = GatewayRejected("It has ended.")
    with pytest.raises(PaymentRequestRejected):
        change(any_database, gateway, pledge_id, 900)
    assert stored(any_database, pledge_id) == (500, 0, None)


def test_of_two_wishes_the_later_one_stays(
    any_database: Container, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    pledge_id = running(any_database)
    order = gateway.update_subscription_amount

    def meanwhile(subscription: str, money: Money, *, pledge_id: uuid.UUID) -> None:
        order(subscription, money, pledge_id=pledge_id)
        if money.amount_minor == 900:
            change(any_database, gateway, pledge_id, 700)

    monkeypatch.setattr(gateway, "update_subscription_amount", meanwhile)
    change(any_database, gateway, pledge_id, 900)
    assert gateway.asked[-1] == Money(700, "USD")
    assert stored(any_database, pledge_id) == (700, 0, None)


@pytest.mark.parametrize("first_is_refused", [False, True])
def test_a_later_wish_that_the_gateway_did_not_hear_is_kept(
    any_database: Container, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, *, first_is_refused: bool
) -> None:
    pledge_id = running(any_database)
    order = gateway.update_subscription_amount

    def meanwhile(subscription: str, money: Money, *, pledge_id: uuid.UUID) -> None:
        order(subscription, money, pledge_id=pledge_id)
        if money.amount_minor == 900:
            gateway.trouble = GatewayUnavailable()
            with pytest.raises(PaymentsUnavailable):
                change(any_database, gateway, pledge_id, 700)
            gateway.trouble = None
            if first_is_refused:
                raise GatewayRejected("Not this amount.")

    monkeypatch.setattr(gateway, "update_subscription_amount", meanwhile)
    with pytest.raises(PaymentRequestRejected) if first_is_refused else nullcontext():
        change(any_database, gateway, pledge_id, 900)
    assert stored(any_database, pledge_id) == (500, 0, 700)
    complete_amount_change(any_database.database.transaction, gateway, pledge_id)
    assert (gateway.asked, stored(any_database, pledge_id)) == (
        [Money(900, "USD"), Money(700, "USD")],
        (700, 0, None),
    )


@pytest.mark.parametrize(
    ("amount", "step", "error"), [(199, 1, AmountBelowMinimum), (505, 10, AmountNotChargeable)]
)
def test_what_cannot_be_charged_is_not_asked_for(
    any_database: Container, gateway: Gateway, amount: int, step: int, error: type[Exception]
) -> None:
    pledge_id, gateway.step = running(any_database), step
    with pytest.raises(error):
        change(any_database, gateway, pledge_id, amount)
    assert (gateway.asked, stored(any_database, pledge_id)) == ([], (500, 0, None))


def test_a_gift_that_was_given_once_has_no_other_amount(any_database: Container, gateway: Gateway) -> None:
    pledge_id = running(any_database, Frequency.ONCE)
    with pytest.raises(InvalidTransition):
        change(any_database, gateway, pledge_id, 900)


def test_what_the_campaign_offers_no_more_stays_as_it_is(any_database: Container, gateway: Gateway) -> None:
    pledge_id = running(any_database)
    with any_database.database.transaction() as session:
        campaign = session.scalars(select(Campaign)).one()
        campaign.pledge_options = [
            choice for choice in campaign.pledge_options if choice.frequency == Frequency.ONCE
        ]
    with pytest.raises(FrequencyNotOffered):
        change(any_database, gateway, pledge_id, 900)
