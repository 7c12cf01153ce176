"""What a gateway reports is counted once, for the right pledge, and money is never refused for an address."""

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


def pledge_five_dollars(container: Container) -> uuid.UUID:
    payload = CreatePledge(campaign="default", frequency=Frequency.MONTHLY, amount=500, currency="USD")
    with container.database.transaction() as session:
        return create_pledge(
            session, get_campaign(session, "default"), payload, gateway="sandbox", now=container.clock()
        ).id


def settle(
    container: Container, pledge_id: uuid.UUID, money: Money, *, reference: str = "ch_1", email: str | None = None
) -> None:
    with container.database.transaction() as session:
        record_sandbox_payment(
            session, pledge_id, SandboxCharge(reference=reference, money=money), email=email, now=container.clock()
        )


def standing(container: Container, pledge_id: uuid.UUID) -> tuple[PledgeStatus, int, bool]:
    with container.database.read_only() as session:
        pledge = session.get_one(Pledge, pledge_id)
        paid = session.scalar(select(func.count()).where(Payment.pledge_id == pledge_id))
        return pledge.status, paid or 0, pledge.supporter_id is not None


def test_a_payment_that_is_reported_twice_counts_once(container: Container) -> None:
    pledge = pledge_five_dollars(container)
    for _ in range(2):
        settle(container, pledge, Money(500, "USD"), email="reader@news.example")
    assert standing(container, pledge) == (PledgeStatus.ACTIVE, 1, True)


def test_money_with_an_address_that_no_mail_reaches_is_taken_without_it(container: Container) -> None:
    pledge = pledge_five_dollars(container)
    settle(container, pledge, Money(500, "USD"), email="not an address")
    assert standing(container, pledge) == (PledgeStatus.ACTIVE, 1, False)


@pytest.mark.parametrize("money", [Money(1, "USD"), Money(499, "USD"), Money(500, "EUR")], ids=str)
def test_less_than_was_pledged_settles_nothing(container: Container, money: Money) -> None:
    pledge = pledge_five_dollars(container)
    with pytest.raises(PaymentMismatch):
        settle(container, pledge, money)
    assert standing(container, pledge) == (PledgeStatus.PENDING, 0, False)


def test_a_payment_of_one_pledge_settles_no_other(container: Container) -> None:
    first, second = pledge_five_dollars(container), pledge_five_dollars(container)
    settle(container, first, Money(500, "USD"))
    with pytest.raises(PaymentMismatch):
        settle(container, second, Money(500, "USD"))
    assert standing(container, second) == (PledgeStatus.PENDING, 0, False)


def test_a_declined_try_and_a_closed_checkout_leave_room_for_late_money(container: Container) -> None:
    pledge = pledge_five_dollars(container)
    with container.database.transaction() as session:
        record_sandbox_decline(
            session, pledge, SandboxCharge(reference="ch_0", money=Money(500, "USD")), now=container.clock()
        )
    assert standing(container, pledge) == (PledgeStatus.PENDING, 1, False)
    with container.database.transaction() as session:
        assert expire_abandoned_pledges(session, now=container.clock() + CHECKOUT_TTL) == 1
    assert standing(container, pledge) == (PledgeStatus.EXPIRED, 1, False)
    settle(container, pledge, Money(500, "USD"))
    assert standing(container, pledge) == (PledgeStatus.ACTIVE, 2, False)
