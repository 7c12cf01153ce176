"""Pending operations: which ones are completed after a crash, and which are skipped."""

import datetime
import uuid
from collections import Counter
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from schemas.enums import Frequency, PledgeStatus, RefundStatus
from service.container import Container
from service.db.base import new_id
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge
from service.domain.campaigns.definitions import get_campaign
from service.domain.errors import PaymentsUnavailable
from service.domain.payments.recovery import MIN_AGE, complete_pending_operations
from service.domain.pledges.pledges import CreatePledge, create_pledge
from service.domain.pledges.subscriptions import change_amount
from service.gateways.stripe.client import PROBE_TIMEOUT
from tests.api.client import assert_problem, auth_headers
from tests.events.stripe_fixture import StripeScenario
from tests.stripe_double import FakeStripe

MINUTE, SECOND = datetime.timedelta(minutes=1), datetime.timedelta(seconds=1)
DAY = datetime.timedelta(days=1)


def complete(container: Container) -> Counter[str]:
    return complete_pending_operations(
        container.database.transaction, container.gateway, urls=container.urls, clock=container.clock
    )


def pledge_without_checkout(container: Container, **changes: Any) -> uuid.UUID:
    """Store a pledge without a checkout, as a crash leaves it; return its id."""
    payload = CreatePledge(campaign="default", frequency=Frequency.ONCE, amount=500, currency="USD")
    with container.database.transaction() as session:
        pledge = create_pledge(
            session, get_campaign(session, "default"), payload, gateway="stripe", now=container.clock()
        )
        for name, value in changes.items():
            setattr(pledge, name, value)
        return pledge.id


def session_count(stripe: FakeStripe) -> int:
    return len(stripe.account.all("checkout.session"))


@pytest.mark.parametrize(
    ("age", "is_completed"),
    [
        (0 * SECOND, False),
        (30 * SECOND, False),
        (MINUTE - SECOND, False),
        (MINUTE, True),
        (DAY - SECOND, True),
        # After a day Stripe has discarded the idempotency key and would create a second checkout.
        (DAY, False),
    ],
)
def test_checkout_is_completed_only_within_a_day_after_a_crash(
    container: Container, stripe: FakeStripe, age: datetime.timedelta, *, is_completed: bool
) -> None:
    pledge = pledge_without_checkout(container)
    container.clock.now += age
    assert complete(container) == ({"checkouts": 1} if is_completed else {})
    assert session_count(stripe) == int(is_completed)
    with container.database.read_only() as session:
        assert (session.get_one(Pledge, pledge).checkout_url is not None) == is_completed


def test_minimum_age_exceeds_the_longest_gateway_call() -> None:
    assert MIN_AGE > PROBE_TIMEOUT


@pytest.mark.parametrize(
    "changes",
    [
        {"gateway": "sandbox"},
        {"status": PledgeStatus.EXPIRED},
        {"gateway_reference": "cs_known", "checkout_url": "https://pay.example/"},
    ],
    ids=["another gateway's", "expired", "created"],
)
def test_checkout_that_is_not_pending_is_not_created(
    container: Container, stripe: FakeStripe, changes: dict[str, Any]
) -> None:
    pledge_without_checkout(container, **changes)
    container.clock.now += 2 * MINUTE
    assert complete(container) == {}
    assert session_count(stripe) == 0


@pytest.fixture
def paid_monthly_pledge(scenario: StripeScenario) -> uuid.UUID:
    """Create a monthly pledge and pay it; return its id."""
    checkout = scenario.create_checkout(Frequency.MONTHLY)
    scenario.stripe.pay(scenario.session_of(checkout))
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    return checkout.id


def update_pledge(container: Container, **changes: Any) -> None:
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(**changes))


def test_requested_cancellation_and_amount_change_are_completed_once(
    container: Container, stripe: FakeStripe, paid_monthly_pledge: uuid.UUID
) -> None:
    update_pledge(container, pending_amount_minor=900)
    assert complete(container) == {"amounts": 1}
    update_pledge(container, cancel_requested_at=container.clock())
    assert complete(container) == {"cancellations": 1}
    assert complete(container) == {}
    with container.database.read_only() as session:
        pledge = session.get_one(Pledge, paid_monthly_pledge)
    assert (pledge.amount_minor, pledge.status) == (900, PledgeStatus.CANCELLED)
    assert stripe.get(pledge.subscription_reference)["status"] == "canceled"


def price_of(stripe: FakeStripe) -> int:
    [subscription] = stripe.account.all("subscription")
    [item] = subscription["items"]["data"]
    return int(item["price"]["unit_amount"])


@pytest.mark.parametrize("is_delivered", [True, False])
def test_amount_changed_in_the_dashboard_meanwhile_stays(
    container: Container,
    scenario: StripeScenario,
    stripe: FakeStripe,
    paid_monthly_pledge: uuid.UUID,
    *,
    is_delivered: bool,
) -> None:
    update_pledge(container, pending_amount_minor=900)
    container.clock.now += 10 * MINUTE
    [subscription] = stripe.account.all("subscription")
    stripe.change_price(subscription["id"], 700)
    if is_delivered:
        scenario.deliver_webhooks(*stripe.events)
        scenario.run_until_idle()
    assert complete(container) == {"refused": 1}
    with container.database.read_only() as session:
        pledge = session.get_one(Pledge, paid_monthly_pledge)
    assert (price_of(stripe), pledge.amount_minor, pledge.pending_amount_minor) == (700, 700, None)
    assert complete(container) == {}
    # Asked again, the reader's amount counts.
    update_pledge(container, pending_amount_minor=900)
    assert complete(container) == {"amounts": 1}
    assert price_of(stripe) == 900


def test_last_of_two_amounts_counts_where_the_answer_to_the_first_was_lost(
    container: Container, stripe: FakeStripe, paid_monthly_pledge: uuid.UUID
) -> None:
    def change(amount: int) -> None:
        with pytest.raises(PaymentsUnavailable):
            change_amount(
                container.database.transaction,
                container.gateway,
                paid_monthly_pledge,
                amount,
                clock=container.clock,
                lang="en",
            )

    stripe.faults.reset("POST /v1/subscriptions/{id}", after_effect=True)
    change(900)
    assert price_of(stripe) == 900
    stripe.close()
    change(800)
    stripe.open()
    container.clock.now += 10 * MINUTE
    assert complete(container) == {"amounts": 1}
    assert price_of(stripe) == 800


def test_cancellation_in_the_dashboard_meanwhile_completes_the_requested_one(
    client: FlaskClient, container: Container, stripe: FakeStripe, paid_monthly_pledge: uuid.UUID
) -> None:
    stripe.close()
    url = f"/v1/admin/pledges/{paid_monthly_pledge}/cancel"
    answer = client.post(url, headers=auth_headers(container, "manage"))
    stripe.open()
    says = "Stripe does not answer right now. The pledge will be cancelled when Stripe answers."
    assert_problem(answer, 503, "payments_unavailable", says=says)
    [subscription] = stripe.account.all("subscription")
    stripe.cancel_now(subscription["id"])
    container.clock.now += 10 * MINUTE
    assert complete(container) == {"cancellations": 1}
    assert complete(container) == {}
    with container.database.read_only() as session:
        assert session.get_one(Pledge, paid_monthly_pledge).status == PledgeStatus.CANCELLED


@pytest.mark.usefixtures("paid_monthly_pledge")
@pytest.mark.parametrize("changes", [{"gateway": "sandbox"}, {"status": PledgeStatus.CANCELLED}], ids=str)
def test_pledge_of_another_gateway_or_cancelled_pledge_is_skipped(
    container: Container, changes: dict[str, Any]
) -> None:
    update_pledge(container, pending_amount_minor=900, cancel_requested_at=container.clock(), **changes)
    assert complete(container) == {}


@pytest.mark.usefixtures("paid_monthly_pledge")
@pytest.mark.parametrize(
    ("status", "gateway", "is_completed"),
    [
        (RefundStatus.REQUESTED, "stripe", True),
        (RefundStatus.REQUESTED, "sandbox", False),
        (RefundStatus.SUCCEEDED, "stripe", False),
        (RefundStatus.FAILED, "stripe", False),
    ],
)
def test_only_requested_refunds_of_this_gateway_are_completed(
    container: Container, stripe: FakeStripe, status: RefundStatus, gateway: str, *, is_completed: bool
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
    assert complete(container) == ({"refunds": 1} if is_completed else {})
    assert len(stripe.account.all("refund")) == int(is_completed)
