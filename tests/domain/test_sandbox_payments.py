"""Sandbox payments: counted once, for the right pledge, and never refused for an invalid address."""

import uuid

import pytest
from sqlalchemy import func, select

from schemas.enums import Frequency, PledgeStatus
from service.container import Container
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.campaigns.definitions import get_campaign
from service.domain.errors import PaymentMismatch
from service.domain.money import Money
from service.domain.payments.event_handlers import SandboxCharge, record_sandbox_decline, record_sandbox_payment
from service.domain.pledges.pledges import CHECKOUT_TTL, CreatePledge, create_pledge, expire_abandoned_pledges


def create_five_dollar_pledge(container: Container) -> uuid.UUID:
    payload = CreatePledge(campaign="default", frequency=Frequency.MONTHLY, amount=500, currency="USD")
    with container.database.transaction() as session:
        return create_pledge(
            session, get_campaign(session, "default"), payload, gateway="sandbox", now=container.clock()
        ).id


def pay(
    container: Container, pledge_id: uuid.UUID, money: Money, *, reference: str = "ch_1", email: str | None = None
) -> None:
    with container.database.transaction() as session:
        record_sandbox_payment(
            session, pledge_id, SandboxCharge(reference=reference, money=money), email=email, now=container.clock()
        )


def pledge_state(container: Container, pledge_id: uuid.UUID) -> tuple[PledgeStatus, int, bool]:
    with container.database.read_only() as session:
        pledge = session.get_one(Pledge, pledge_id)
        payments = session.scalar(select(func.count()).where(Payment.pledge_id == pledge_id))
        return pledge.status, payments or 0, pledge.supporter_id is not None


def test_repeated_payment_counts_once(container: Container) -> None:
    pledge = create_five_dollar_pledge(container)
    for _ in range(2):
        pay(container, pledge, Money(500, "USD"), email="reader@news.example")
    assert pledge_state(container, pledge) == (PledgeStatus.ACTIVE, 1, True)


def test_payment_with_an_invalid_address_is_recorded_without_supporter(container: Container) -> None:
    pledge = create_five_dollar_pledge(container)
    pay(container, pledge, Money(500, "USD"), email="not an address")
    assert pledge_state(container, pledge) == (PledgeStatus.ACTIVE, 1, False)


@pytest.mark.parametrize("money", [Money(1, "USD"), Money(499, "USD"), Money(500, "EUR")], ids=str)
def test_payment_of_less_or_another_currency_is_refused(container: Container, money: Money) -> None:
    pledge = create_five_dollar_pledge(container)
    with pytest.raises(PaymentMismatch):
        pay(container, pledge, money)
    assert pledge_state(container, pledge) == (PledgeStatus.PENDING, 0, False)


def test_payment_of_one_pledge_is_refused_for_another(container: Container) -> None:
    first, second = create_five_dollar_pledge(container), create_five_dollar_pledge(container)
    pay(container, first, Money(500, "USD"))
    with pytest.raises(PaymentMismatch):
        pay(container, second, Money(500, "USD"))
    assert pledge_state(container, second) == (PledgeStatus.PENDING, 0, False)


def test_late_payment_is_accepted_after_a_decline_and_an_expired_checkout(container: Container) -> None:
    pledge = create_five_dollar_pledge(container)
    with container.database.transaction() as session:
        record_sandbox_decline(
            session, pledge, SandboxCharge(reference="ch_0", money=Money(500, "USD")), now=container.clock()
        )
    assert pledge_state(container, pledge) == (PledgeStatus.PENDING, 1, False)
    with container.database.transaction() as session:
        assert expire_abandoned_pledges(session, now=container.clock() + CHECKOUT_TTL) == 1
    assert pledge_state(container, pledge) == (PledgeStatus.EXPIRED, 1, False)
    pay(container, pledge, Money(500, "USD"))
    assert pledge_state(container, pledge) == (PledgeStatus.ACTIVE, 2, False)
