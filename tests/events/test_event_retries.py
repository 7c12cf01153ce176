"""Events that cannot be applied yet: retried with exponential backoff, and parked for an operator at last."""

import datetime
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from schemas.enums import EventStatus, PledgeStatus
from service.bootstrap import build_container
from service.container import Container
from service.db.models.admin import AuditEntry
from service.db.models.payment import GatewayEvent, Payment
from service.domain.errors import InvalidTransition
from service.domain.payments import event_processing
from service.domain.payments.event_processing import OWNER_WAITS, retry_event
from tests.api.client import count
from tests.cli import run_cli
from tests.conftest import settings_for
from tests.events.stripe_fixture import SECRET, StripeScenario
from tests.stripe_double import KEY, FakeStripe
from tests.stripe_double.account import StripeJson


@pytest.fixture
def failing_handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Make the event handler fail until `undo` is called."""

    def fail(*_: object, **__: object) -> uuid.UUID:
        raise ZeroDivisionError("ada@news.example")

    with monkeypatch.context() as patch:
        patch.setattr(event_processing, "handle_event", fail)
        yield patch


@pytest.fixture
def early_refund(scenario: StripeScenario, stripe: FakeStripe) -> StripeJson:
    """Store the event of a refund without that of its payment; return it."""
    opened = scenario.create_checkout(key="given")
    charge = stripe.pay(scenario.session_of(opened))
    stripe.refund(charge["id"])
    event = next(item for item in stripe.events if item["type"] == "charge.refunded")
    scenario.deliver_webhooks(event)
    return event


@pytest.fixture
def paid(scenario: StripeScenario, stripe: FakeStripe) -> StripeJson:
    """Store the event of a payment; return it."""
    stripe.pay(scenario.session_of(scenario.create_checkout()))
    event = next(item for item in stripe.events if item["type"] == "invoice.paid")
    scenario.deliver_webhooks(event)
    return event


def only_event(container: Container) -> GatewayEvent:
    with container.database.read_only() as session:
        return session.scalars(select(GatewayEvent)).one()


def process_until_parked(scenario: StripeScenario) -> list[datetime.timedelta]:
    """Process the event whenever it is due; return the backoffs and check that none ends a second earlier."""
    clock, backoffs = scenario.container.clock, []
    for _ in range(20):
        scenario.run_event_job()
        event = only_event(scenario.container)
        if event.status == EventStatus.PARKED:
            return backoffs
        backoffs.append(event.next_attempt_at - clock.now)
        clock.now = event.next_attempt_at - datetime.timedelta(seconds=1)
        assert scenario.run_event_job() == {}
        clock.now = event.next_attempt_at
    raise AssertionError("The event is retried forever.")


@pytest.mark.usefixtures("early_refund")
def test_refund_without_payment_is_retried_with_backoff_and_parked(
    scenario: StripeScenario, container: Container
) -> None:
    backoffs = [backoff.total_seconds() for backoff in process_until_parked(scenario)]
    assert backoffs == [5, 150, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600]
    event = only_event(container)
    assert (event.attempts, event.reason) == (12, "Its payment is not recorded here.")
    container.clock.advance(days=1)
    assert scenario.run_event_job() == {}


@pytest.mark.usefixtures("early_refund")
def test_waiting_event_is_applied_after_its_dependency(
    scenario: StripeScenario, container: Container, stripe: FakeStripe
) -> None:
    assert scenario.run_event_job() == {"waiting": 1}
    scenario.deliver_webhooks(*stripe.events)
    scenario.run_until_idle()
    with container.database.read_only() as session:
        assert set(session.scalars(select(GatewayEvent.status))) <= {EventStatus.APPLIED, EventStatus.IGNORED}
        assert session.scalars(select(Payment.status)).one() == "refunded"


@pytest.mark.usefixtures("paid")
def test_handler_failure_parks_event_after_five_attempts_without_personal_data(
    scenario: StripeScenario, container: Container, failing_handler: pytest.MonkeyPatch
) -> None:
    assert [backoff.total_seconds() for backoff in process_until_parked(scenario)] == [5, 10, 20, 40]
    event = only_event(container)
    assert (event.attempts, event.reason) == (5, "A fault of the service: ZeroDivisionError.")
    assert count(container, Payment) == 0
    failing_handler.undo()
    container.clock.advance(days=1)
    assert scenario.run_event_job() == {}


def test_apply_command_retries_a_parked_event(
    scenario: StripeScenario, container: Container, paid: StripeJson, failing_handler: pytest.MonkeyPatch
) -> None:
    process_until_parked(scenario)
    event = only_event(container)
    assert event.pledge_id is not None
    failing_handler.undo()
    settings = container.settings
    result = run_cli(
        "stripe",
        "apply",
        str(event.id),
        DATABASE_URL=settings.database_url,
        GATEWAY="stripe",
        STRIPE_SECRET_KEY=KEY,
        STRIPE_WEBHOOK_SECRET=SECRET,
        STRIPE_API_BASE=scenario.stripe.url,
    )
    assert (result.exit_code, result.stdout) == (0, f"{paid['id']} is applied.\n")
    assert scenario.snapshot(event.pledge_id)["pledge"]["status"] == PledgeStatus.ACTIVE
    assert count(container, Payment) == 1
    with container.database.read_only() as session:
        [entry] = session.scalars(select(AuditEntry))
    assert (entry.action, entry.details) == ("apply_event", {"event": str(event.id)})
    assert (only_event(container).attempts, only_event(container).reason) == (0, None)


@pytest.mark.usefixtures("paid")
def test_applied_event_cannot_be_retried(scenario: StripeScenario, container: Container) -> None:
    scenario.run_event_job()
    with pytest.raises(InvalidTransition, match="applied already"):
        retry_event(
            container.database.transaction, container.event_source, only_event(container).id, clock=container.clock
        )
    assert count(container, Payment) == 1


def test_waiting_event_does_not_block_others(
    scenario: StripeScenario, container: Container, stripe: FakeStripe, early_refund: StripeJson
) -> None:
    stripe.pay(scenario.session_of(scenario.create_checkout(key="another")))
    last = [event for event in stripe.events if event["type"] == "invoice.paid"][-1]
    scenario.deliver_webhooks(last)
    assert scenario.run_event_job() == {"waiting": 1, "applied": 1}
    with container.database.read_only() as session:
        found = dict(session.execute(select(GatewayEvent.reference, GatewayEvent.status)).all())
    assert found == {early_refund["id"]: EventStatus.WAITING, last["id"]: EventStatus.APPLIED}


@pytest.mark.usefixtures("early_refund")
def test_outage_during_lookup_counts_no_attempt(
    scenario: StripeScenario, container: Container, stripe: FakeStripe
) -> None:
    for _ in OWNER_WAITS:
        assert scenario.run_event_job() == {"waiting": 1}
        container.clock.now = only_event(container).next_attempt_at
    stripe.faults.respond(503, times=2)
    assert scenario.run_event_job() == {"put_off": 1}
    event = only_event(container)
    assert (event.status, event.attempts) == (EventStatus.WAITING, len(OWNER_WAITS))
    container.clock.now = event.next_attempt_at
    assert scenario.run_event_job() == {"waiting": 1}


@pytest.mark.usefixtures("paid")
def test_event_under_a_key_that_this_process_lacks_waits_without_losing_an_attempt(
    scenario: StripeScenario, container: Container, migrated_database: str
) -> None:
    settings = settings_for(
        migrated_database,
        SECRET_KEYS="another-key-that-opens-nothing-0123456789",
        GATEWAY="stripe",
        STRIPE_SECRET_KEY=KEY,
        STRIPE_WEBHOOK_SECRET=SECRET,
        STRIPE_API_BASE=scenario.stripe.url,
    )
    other = build_container(settings, clock=container.clock)
    assert StripeScenario(other, scenario.stripe).run_event_job() == {"received": 1}
    other.database.engine.dispose()
    event = only_event(container)
    assert (event.status, event.attempts) == (EventStatus.RECEIVED, 0)
    assert event.reason == "Waits for a key: no key of SECRET_KEYS opens what this event said."
    container.clock.now = event.next_attempt_at
    assert scenario.run_event_job() == {"applied": 1}
