"""Recovery from a crash between the two transactions of a checkout: a repeated request completes its pledge."""

import datetime
import threading
import uuid
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

PAYLOAD = CreatePledge(campaign="default", frequency=Frequency.MONTHLY, amount=200, currency="USD")
KEY = "key-00000001"


class RecordingGateway:
    """A gateway that records the checkouts requested, and calls `on_checkout` before it responds."""

    name = "recording"

    def __init__(self, on_checkout: Callable[[], None] = lambda: None) -> None:
        self.requests: list[CheckoutParams] = []
        self.on_checkout = on_checkout

    def charge_limits(self, currency: str) -> ChargeLimits:
        return NO_LIMITS

    def save_product(self, campaign_id: uuid.UUID, name: str) -> None:
        """Do nothing."""

    def create_checkout(self, params: CheckoutParams) -> Checkout:
        self.requests.append(params)
        self.on_checkout()
        return Checkout(
            reference=f"checkout_{params.pledge_id}", url=f"https://gateway.example/{params.pledge_id}"
        )


class Crash(BaseException):
    """The process ends here; no handler catches this."""


def crash() -> None:
    raise Crash


def start_checkout(
    container: Container, gateway: RecordingGateway, payload: CreatePledge = PAYLOAD
) -> PledgeCheckout:
    with container.database.read_only() as session:
        campaign = get_campaign(session, "default")
    return create_pledge_checkout(
        container.database.transaction,
        gateway,
        campaign,
        payload,
        idempotency_key=KEY,
        clock=container.clock,
        urls=container.urls,
    )


def test_retry_after_crash_completes_the_same_pledge(any_database: Container, clock: FakeClock) -> None:
    gateway = RecordingGateway(crash)
    with pytest.raises(Crash):
        start_checkout(any_database, gateway)
    gateway.on_checkout = lambda: None
    # Until the lock expires, the first request may still be running.
    with pytest.raises(RequestInProgress):
        start_checkout(any_database, gateway)
    clock.now += LOCK_TTL
    completed = start_checkout(any_database, gateway)
    assert [params.pledge_id for params in gateway.requests] == [completed.id, completed.id]
    assert completed.checkout_url == f"https://gateway.example/{completed.id}"
    repeated = start_checkout(any_database, gateway)
    assert (repeated.id, repeated.checkout_url, repeated.replayed) == (completed.id, completed.checkout_url, True)
    assert len(gateway.requests) == 2
    with any_database.database.read_only() as session:
        assert count_rows(session, Pledge) == 1


def test_checkout_can_be_retried_immediately_after_gateway_outage(any_database: Container) -> None:
    def down() -> None:
        raise GatewayUnavailable

    gateway = RecordingGateway(down)
    with pytest.raises(PaymentsUnavailable):
        start_checkout(any_database, gateway)
    gateway.on_checkout = lambda: None
    completed = start_checkout(any_database, gateway)
    assert [params.pledge_id for params in gateway.requests] == [completed.id, completed.id]
    with any_database.database.read_only() as session:
        assert count_rows(session, Pledge) == 1


def test_reused_idempotency_key_with_other_payload_is_refused_after_crash(any_database: Container) -> None:
    gateway = RecordingGateway(crash)
    with pytest.raises(Crash):
        start_checkout(any_database, gateway)
    other = CreatePledge(campaign="default", frequency=Frequency.MONTHLY, amount=300, currency="USD")
    with pytest.raises(IdempotencyKeyReused):
        start_checkout(any_database, gateway, other)
    with any_database.database.read_only() as session:
        assert session.scalars(select(Pledge.amount_minor)).all() == [200]


def test_no_transaction_is_open_during_the_gateway_call(any_database: Container) -> None:
    # An open transaction would make this wait for the pledge's row (PostgreSQL) or the whole file (SQLite).
    def change_the_pledge() -> None:
        with any_database.database.transaction() as session:
            pledge = session.scalars(select(Pledge).with_for_update(nowait=True)).one()
            pledge.variant = "changed meanwhile"

    start_checkout(any_database, RecordingGateway(change_the_pledge))
    with any_database.database.read_only() as session:
        assert session.scalar(select(Pledge.variant)) == "changed meanwhile"


def test_concurrent_retries_after_crash_start_one_checkout(any_database: Container, clock: FakeClock) -> None:
    with pytest.raises(Crash):
        start_checkout(any_database, RecordingGateway(crash))
    clock.now += LOCK_TTL + datetime.timedelta(seconds=1)
    start = threading.Barrier(8, timeout=60)
    gateway = RecordingGateway()

    def repeat() -> PledgeCheckout | None:
        start.wait()
        try:
            return start_checkout(any_database, gateway)
        except RequestInProgress:
            return None

    with ThreadPoolExecutor(8) as pool:
        responses = [future.result() for future in [pool.submit(repeat) for _ in range(8)]]
    assert len(gateway.requests) == 1
    assert len({response.checkout_url for response in responses if response is not None}) == 1
