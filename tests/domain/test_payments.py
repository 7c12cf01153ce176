"""What a gateway reports is counted once, for the right pledge, and money is never refused for an address."""

import uuid

import pytest
from sqlalchemy import func, select

from schemas.vocabulary import Frequency, PledgeStatus
from service.db.payment import Payment
from service.db.pledge import Pledge
from service.desk import Desk
from service.domain.campaigns.terms import find_campaign
from service.domain.errors import PaymentMismatch
from service.domain.money.amounts import Money
from service.domain.pledges.making import ABANDONED_AFTER, PledgeWish, expire_abandoned_pledges, make_pledge
from service.domain.pledges.payments import Charge, fail_payment, settle_pledge


def pledge_five_dollars(desk: Desk) -> uuid.UUID:
    wish = PledgeWish(campaign="default", frequency=Frequency.MONTHLY, amount=500, currency="USD")
    with desk.database.transaction() as session:
        return make_pledge(
            session, find_campaign(session, "default"), wish, gateway="sandbox", now=desk.clock()
        ).id


def settle(
    desk: Desk, pledge_id: uuid.UUID, money: Money, *, reference: str = "ch_1", email: str | None = None
) -> None:
    with desk.database.transaction() as session:
        settle_pledge(session, pledge_id, Charge(reference=reference, money=money), email=email, now=desk.clock())


def standing(desk: Desk, pledge_id: uuid.UUID) -> tuple[PledgeStatus, int, bool]:
    with desk.database.reading() as session:
        pledge = session.get_one(Pledge, pledge_id)
        paid = session.scalar(select(func.count()).where(Payment.pledge_id == pledge_id))
        return pledge.status, paid or 0, pledge.supporter_id is not None


def test_a_payment_that_is_reported_twice_counts_once(desk: Desk) -> None:
    pledge = pledge_five_dollars(desk)
    for _ in range(2):
        settle(desk, pledge, Money(500, "USD"), email="reader@news.example")
    assert standing(desk, pledge) == (PledgeStatus.ACTIVE, 1, True)


def test_money_with_an_address_that_no_mail_reaches_is_taken_without_it(desk: Desk) -> None:
    pledge = pledge_five_dollars(desk)
    settle(desk, pledge, Money(500, "USD"), email="not an address")
    assert standing(desk, pledge) == (PledgeStatus.ACTIVE, 1, False)


@pytest.mark.parametrize("money", [Money(1, "USD"), Money(499, "USD"), Money(500, "EUR")], ids=str)
def test_less_than_was_pledged_settles_nothing(desk: Desk, money: Money) -> None:
    pledge = pledge_five_dollars(desk)
    with pytest.raises(PaymentMismatch):
        settle(desk, pledge, money)
    assert standing(desk, pledge) == (PledgeStatus.PENDING, 0, False)


def test_a_payment_of_one_pledge_settles_no_other(desk: Desk) -> None:
    first, second = pledge_five_dollars(desk), pledge_five_dollars(desk)
    settle(desk, first, Money(500, "USD"))
    with pytest.raises(PaymentMismatch):
        settle(desk, second, Money(500, "USD"))
    assert standing(desk, second) == (PledgeStatus.PENDING, 0, False)


def test_a_declined_try_and_a_closed_checkout_leave_room_for_late_money(desk: Desk) -> None:
    pledge = pledge_five_dollars(desk)
    with desk.database.transaction() as session:
        fail_payment(session, pledge, Charge(reference="ch_0", money=Money(500, "USD")), now=desk.clock())
    assert standing(desk, pledge) == (PledgeStatus.PENDING, 1, False)
    with desk.database.transaction() as session:
        assert expire_abandoned_pledges(session, now=desk.clock() + ABANDONED_AFTER) == 1
    assert standing(desk, pledge) == (PledgeStatus.EXPIRED, 1, False)
    settle(desk, pledge, Money(500, "USD"))
    assert standing(desk, pledge) == (PledgeStatus.ACTIVE, 2, False)
