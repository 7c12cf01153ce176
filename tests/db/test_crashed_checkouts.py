"""A crash between the two transactions of a checkout: the same request, sent again, finishes the same pledge."""

import datetime
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from schemas.enums import Frequency
from service.container import Container
from service.db.models.pledge import Pledge
from service.domain.campaigns.definitions import get_campaign
from service.domain.errors import IdempotencyKeyReused, PaymentsUnavailable, RequestInProgress
from service.domain.pledges.checkout import PledgeCheckout, create_pledge_checkout
from service.domain.pledges.idempotency import LOCK_TTL
from service.domain.pledges.pledges import CreatePledge
from service.domain.ports import NO_LIMITS, ChargeLimits, Checkout, CheckoutParams, GatewayUnavailable
from tests.clock import FakeClock
from tests.db.factories import count_rows

WISH = CreatePledge(campaign="default", frequency=Frequency.MONTHLY, amount=200, currency="USD")
KEY = "key-00000001"


class Till:
    """A gateway that remembers the orders, and does as `on_order` says before it answers."""

    name = "till"

    def __init__(self, on_order: Callable[[], None] = lambda: None) -> None:
        self.orders: list[CheckoutParams] = []
        self.on_order = on_order

    def charge_limits(self, currency: str) -> ChargeLimits:
        return NO_LIMITS

    def create_checkout(self, order: CheckoutParams) -> Checkout:
        self.orders.append(order)
        self.on_order()
        return Checkout(reference=f"till_{order.pledge_id}", url=f"https://till.example/{order.pledge_id}")


class Crash(BaseException):
    """The process ends here: nothing catches it on the way."""


def crash() -> None:
    raise Crash


def buy(container: Container, till: Till, payload: CreatePledge = WISH) -> PledgeCheckout:
    with container.database.read_only() as session:
        campaign = get_campaign(session, "default")
    return create_pledge_checkout(
        container.database.transaction,
        till,
        campaign,
        payload,
        key=KEY,
        clock=container.clock,
        links=container.urls,
    )


def test_a_repeat_after_a_crash_finishes_the_same_pledge(any_database: Container, clock: FakeClock) -> None:
    till = Till(crash)
    with pytest.raises(Crash):
        buy(any_database, till)
    till.on_order = lambda: None
    # Nobody can know yet that the first has crashed.
    with pytest.raises(RequestInProgress):
        buy(any_database, till)
    clock.now += LOCK_TTL
    finished = buy(any_database, till)
    assert [order.pledge_id for order in till.orders] == [finished.id, finished.id]
    assert finished.checkout_url == f"https://till.example/{finished.id}"
    repeated = buy(any_database, till)
    assert (repeated.id, repeated.checkout_url, repeated.replayed) == (finished.id, finished.checkout_url, True)
    assert len(till.orders) == 2
    with any_database.database.read_only() as session:
        assert count_rows(session, Pledge) == 1


def test_a_gateway_that_is_down_can_be_asked_again_at_once(any_database: Container) -> None:
    def down() -> None:
        raise GatewayUnavailable

    till = Till(down)
    with pytest.raises(PaymentsUnavailable):
        buy(any_database, till)
    till.on_order = lambda: None
    finished = buy(any_database, till)
    assert [order.pledge_id for order in till.orders] == [finished.id, finished.id]
    with any_database.database.read_only() as session:
        assert count_rows(session, Pledge) == 1


def test_another_wish_under_the_same_key_is_refused_even_while_the_first_hangs(any_database: Container) -> None:
    till = Till(crash)
    with pytest.raises(Crash):
        buy(any_database, till)
    other = CreatePledge(campaign="default", frequency=Frequency.MONTHLY, amount=300, currency="USD")
    with pytest.raises(IdempotencyKeyReused):
        buy(any_database, till, other)
    with any_database.database.read_only() as session:
        assert session.scalars(select(Pledge.amount_minor)).all() == [200]


def test_no_transaction_is_open_while_the_gateway_is_asked(any_database: Container) -> None:
    # If one were, this would wait for the pledge's row (PostgreSQL) or for the whole file (SQLite).
    def change_the_pledge() -> None:
        with any_database.database.transaction() as session:
            pledge = session.scalars(select(Pledge).with_for_update(nowait=True)).one()
            pledge.variant = "changed meanwhile"

    buy(any_database, Till(change_the_pledge))
    with any_database.database.read_only() as session:
        assert session.scalar(select(Pledge.variant)) == "changed meanwhile"


def test_many_repeats_after_a_crash_start_one_checkout(any_database: Container, clock: FakeClock) -> None:
    with pytest.raises(Crash):
        buy(any_database, Till(crash))
    clock.now += LOCK_TTL + datetime.timedelta(seconds=1)
    start = threading.Barrier(8, timeout=60)
    till = Till()

    def repeat() -> PledgeCheckout | None:
        start.wait()
        try:
            return buy(any_database, till)
        except RequestInProgress:
            return None

    with ThreadPoolExecutor(8) as pool:
        responses = [future.result() for future in [pool.submit(repeat) for _ in range(8)]]
    assert len(till.orders) == 1
    assert len({response.checkout_url for response in responses if response is not None}) == 1
