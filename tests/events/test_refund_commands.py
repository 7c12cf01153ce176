"""`mainstay refunds list|withdraw`."""

import uuid
from collections.abc import Callable

import pytest
from click.testing import Result
from sqlalchemy import select

from schemas.enums import Frequency, RefundStatus
from service.container import Container
from service.db.clock import utc_now
from service.db.models.admin import AuditEntry
from service.db.models.payment import Payment, Refund
from service.domain.payments.refunds import refund_payment
from tests.cli import assert_cli_error, run_cli
from tests.clock import FakeClock
from tests.events.stripe_fixture import SECRET, StripeScenario
from tests.stripe_double import KEY, FakeStripe


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock at the current time, because the commands use the system clock."""
    return FakeClock(utc_now())


@pytest.fixture
def run(container: Container, stripe: FakeStripe) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        environment = {
            "DATABASE_URL": container.settings.database_url,
            "GATEWAY": "stripe",
            "STRIPE_SECRET_KEY": KEY,
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "STRIPE_API_BASE": stripe.url,
        }
        return run_cli("refunds", *arguments, **environment)

    return run


@pytest.fixture
def requested(container: Container, scenario: StripeScenario, stripe: FakeStripe) -> Refund:
    """Return a refund of $2 that was requested while Stripe was down."""
    stripe.pay(scenario.session_of(scenario.create_checkout(Frequency.ONCE)))
    scenario.deliver_webhooks(*stripe.events)
    scenario.run_until_idle()
    with container.database.read_only() as session:
        payment_id = session.scalars(select(Payment.id)).one()
    stripe.close()
    refund = refund_payment(
        container.database.transaction,
        container.gateway,
        payment_id,
        amount_minor=200,
        key="refund-key-1",
        clock=container.clock,
    )
    stripe.open()
    assert refund.status == RefundStatus.REQUESTED
    return refund


def test_requested_refund_is_listed_and_withdrawn_once(
    container: Container, run: Callable[..., Result], requested: Refund
) -> None:
    listed = run("list", "--status", "requested")
    assert listed.stdout == f"{requested.created_at:%Y-%m-%dT%H:%M:%SZ}  {requested.id}  requested  2.00 USD\n"
    assert run("withdraw", str(requested.id)).stdout.endswith("The refund is withdrawn.\n")
    empty = run("list", "--status", "requested")
    assert (empty.stdout, empty.stderr) == ("", "No refund is requested.\n")
    with container.database.read_only() as session:
        assert session.get_one(Refund, requested.id).status == RefundStatus.WITHDRAWN
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "withdraw_refund")).one()
    assert (entry.actor, entry.details) == ("command line", {"refund": str(requested.id)})


def test_refund_that_was_made_is_not_withdrawn(
    container: Container, run: Callable[..., Result], requested: Refund
) -> None:
    with container.database.transaction() as session:
        session.get_one(Refund, requested.id).status = RefundStatus.SUCCEEDED
    assert_cli_error(run("withdraw", str(requested.id)), "was made")
    assert_cli_error(run("withdraw", str(uuid.uuid4())), "no refund")
