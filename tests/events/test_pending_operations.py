"""What the reconciler finishes, and what it leaves alone: a request that still runs, and what is not its own."""

import datetime
import uuid
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select, update

from schemas.enums import Frequency, PledgeStatus, RefundStatus
from service.container import Container
from service.db.base import new_id
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge
from service.domain.campaigns.definitions import get_campaign
from service.domain.payments.recovery import MIN_AGE, complete_pending_operations
from service.domain.pledges.pledges import CreatePledge, create_pledge
from service.gateways.stripe.client import PROBE_TIMEOUT
from tests.events.stripe_fixture import StripeScenario
from tests.stripe_double import FakeStripe

MINUTE, SECOND = datetime.timedelta(minutes=1), datetime.timedelta(seconds=1)
DAY = datetime.timedelta(days=1)


def finish(container: Container) -> Counter[str]:
    return complete_pending_operations(
        container.database.transaction, container.gateway, links=container.urls, clock=container.clock
    )


def begun(container: Container, **changes: Any) -> uuid.UUID:
    """Write a pledge down whose checkout was never opened, as before a crash; return its id."""
    payload = CreatePledge(campaign="default", frequency=Frequency.ONCE, amount=500, currency="USD")
    with container.database.transaction() as session:
        pledge = create_pledge(
            session, get_campaign(session, "default"), payload, gateway="stripe", now=container.clock()
        )
        for name, value in changes.items():
            setattr(pledge, name, value)
        return pledge.id


def sessions(stripe: FakeStripe) -> int:
    return len(stripe.account.all("checkout.session"))


@pytest.mark.parametrize(
    ("age", "is_finished"),
    [
        (0 * SECOND, False),
        (30 * SECOND, False),
        (MINUTE - SECOND, False),
        (MINUTE, True),
        (DAY - SECOND, True),
        # After a day Stripe has forgotten the key: it would open a second checkout.
        (DAY, False),
    ],
)
def test_running_request_is_left_alone_and_crashed_one_is_finished_for_a_day(
    container: Container, stripe: FakeStripe, age: datetime.timedelta, *, is_finished: bool
) -> None:
    pledge = begun(container)
    container.clock.now += age
    assert finish(container) == ({"checkouts": 1} if is_finished else {})
    assert sessions(stripe) == int(is_finished)
    with container.database.read_only() as session:
        assert (session.get_one(Pledge, pledge).checkout_url is not None) == is_finished


def test_request_is_left_alone_for_longer_than_the_longest_gateway_call() -> None:
    assert MIN_AGE > PROBE_TIMEOUT


@pytest.mark.parametrize(
    "changes",
    [
        {"gateway": "sandbox"},
        {"status": PledgeStatus.EXPIRED},
        {"gateway_reference": "cs_known", "checkout_url": "https://pay.example/"},
    ],
    ids=["another gateway's", "expired", "opened"],
)
def test_checkout_that_is_not_unfinished_is_not_opened(
    container: Container, stripe: FakeStripe, changes: dict[str, Any]
) -> None:
    begun(container, **changes)
    container.clock.now += 2 * MINUTE
    assert finish(container) == {}
    assert sessions(stripe) == 0


@pytest.fixture
def running(scenario: StripeScenario) -> uuid.UUID:
    """Return a monthly pledge that was paid."""
    opened = scenario.create_checkout(Frequency.MONTHLY)
    scenario.stripe.pay(scenario.session_of(opened))
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_settled()
    return opened.id


def want(container: Container, **changes: Any) -> None:
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(**changes))


def test_wished_end_and_amount_are_finished_once(
    container: Container, stripe: FakeStripe, running: uuid.UUID
) -> None:
    want(container, pending_amount_minor=900)
    assert finish(container) == {"amounts": 1}
    want(container, cancel_requested_at=container.clock())
    assert finish(container) == {"cancellations": 1}
    assert finish(container) == {}
    with container.database.read_only() as session:
        pledge = session.get_one(Pledge, running)
    assert (pledge.amount_minor, pledge.status) == (900, PledgeStatus.CANCELLED)
    assert stripe.get(pledge.subscription_reference)["status"] == "canceled"


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("changes", [{"gateway": "sandbox"}, {"status": PledgeStatus.CANCELLED}], ids=str)
def test_pledge_of_another_gateway_or_that_is_over_is_left_alone(
    container: Container, changes: dict[str, Any]
) -> None:
    want(container, pending_amount_minor=900, cancel_requested_at=container.clock(), **changes)
    assert finish(container) == {}


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("status", "gateway", "is_finished"),
    [
        (RefundStatus.REQUESTED, "stripe", True),
        (RefundStatus.REQUESTED, "sandbox", False),
        (RefundStatus.SUCCEEDED, "stripe", False),
        (RefundStatus.FAILED, "stripe", False),
    ],
)
def test_only_a_requested_refund_of_this_gateway_is_ordered(
    container: Container, stripe: FakeStripe, status: RefundStatus, gateway: str, *, is_finished: bool
) -> None:
    with container.database.transaction() as session:
        payment = session.scalars(select(Payment)).one()
        fields = {
            "payment_id": payment.id,
            "amount_minor": 200,
            "currency": "USD",
            "created_at": container.clock(),
        }
        session.add(Refund(id=new_id(), status=status, **fields))
        payment.gateway = gateway
    assert finish(container) == ({"refunds": 1} if is_finished else {})
    assert len(stripe.account.all("refund")) == int(is_finished)
