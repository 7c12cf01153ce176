"""An event that cannot be applied yet: tried again, ever more seldom, and parked for somebody at last."""

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
from service.domain.payments import event_processing as working
from service.domain.payments.event_processing import retry_event
from tests.api.client import count
from tests.cli import run_cli
from tests.conftest import settings_for
from tests.events.stripe_fixture import SECRET, StripeScenario
from tests.stripe_double import KEY, FakeStripe
from tests.stripe_double.account import StripeJson


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Let the service have a fault until `undo` is called."""

    def fail(*_: object, **__: object) -> uuid.UUID:
        raise ZeroDivisionError("ada@news.example")

    with monkeypatch.context() as fault:
        fault.setattr(working, "handle_event", fail)
        yield fault


@pytest.fixture
def refunded_too_early(scenario: StripeScenario, stripe: FakeStripe) -> StripeJson:
    """Return the event of a refund that is kept, while the payment is not."""
    opened = scenario.create_checkout(key="given")
    charge = stripe.pay(scenario.session_of(opened))
    stripe.refund(charge["id"])
    told = next(event for event in stripe.events if event["type"] == "charge.refunded")
    scenario.deliver_webhooks(told)
    return told


@pytest.fixture
def paid(scenario: StripeScenario, stripe: FakeStripe) -> StripeJson:
    """Return the event of a payment that is kept."""
    stripe.pay(scenario.session_of(scenario.create_checkout()))
    told = next(event for event in stripe.events if event["type"] == "invoice.paid")
    scenario.deliver_webhooks(told)
    return told


def event_of(container: Container) -> GatewayEvent:
    with container.database.read_only() as session:
        return session.scalars(select(GatewayEvent)).one()


def try_until_parked(scenario: StripeScenario) -> list[datetime.timedelta]:
    """Apply it whenever it is due, and not a second sooner; return how long it was left alone each time."""
    clock, pauses = scenario.container.clock, []
    for _ in range(20):
        scenario.run_event_job()
        event = event_of(scenario.container)
        if event.status == EventStatus.PARKED:
            return pauses
        pauses.append(event.next_attempt_at - clock.now)
        clock.now = event.next_attempt_at - datetime.timedelta(seconds=1)
        assert scenario.run_event_job() == {}
        clock.now = event.next_attempt_at
    raise AssertionError("It is tried without an end.")


@pytest.mark.usefixtures("refunded_too_early")
def test_a_refund_whose_payment_never_comes_is_tried_twelve_times_and_then_parked(
    scenario: StripeScenario, container: Container
) -> None:
    pauses = [pause.total_seconds() for pause in try_until_parked(scenario)]
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600]
    event = event_of(container)
    assert (event.attempts, event.reason) == (12, "Its payment is not in the books.")
    container.clock.advance(days=1)
    assert scenario.run_event_job() == {}


@pytest.mark.usefixtures("refunded_too_early")
def test_what_waits_is_applied_once_what_it_stands_on_came(
    scenario: StripeScenario, container: Container, stripe: FakeStripe
) -> None:
    assert scenario.run_event_job() == {"waiting": 1}
    scenario.deliver_webhooks(*stripe.events)
    scenario.run_until_settled()
    with container.database.read_only() as session:
        assert set(session.scalars(select(GatewayEvent.status))) <= {EventStatus.APPLIED, EventStatus.IGNORED}
        assert session.scalars(select(Payment.status)).one() == "refunded"


@pytest.mark.usefixtures("paid")
def test_a_fault_of_ours_parks_an_event_after_five_tries_and_names_no_reader(
    scenario: StripeScenario, container: Container, broken: pytest.MonkeyPatch
) -> None:
    assert [pause.total_seconds() for pause in try_until_parked(scenario)] == [5, 10, 20, 40]
    event = event_of(container)
    assert (event.attempts, event.reason) == (5, "A fault of the service: ZeroDivisionError.")
    assert count(container, Payment) == 0
    broken.undo()
    container.clock.advance(days=1)
    assert scenario.run_event_job() == {}


def test_what_a_fault_parked_is_made_good_by_one_command(
    scenario: StripeScenario, container: Container, paid: StripeJson, broken: pytest.MonkeyPatch
) -> None:
    try_until_parked(scenario)
    event = event_of(container)
    assert event.pledge_id is not None
    broken.undo()
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
    assert scenario.books(event.pledge_id)["pledge"]["status"] == PledgeStatus.ACTIVE
    assert count(container, Payment) == 1
    with container.database.read_only() as session:
        [entry] = session.scalars(select(AuditEntry))
    assert (entry.action, entry.details) == ("apply_event", {"event": str(event.id)})
    assert (event_of(container).attempts, event_of(container).reason) == (0, None)


@pytest.mark.usefixtures("paid")
def test_what_was_applied_is_not_applied_again_by_hand(scenario: StripeScenario, container: Container) -> None:
    scenario.run_event_job()
    with pytest.raises(InvalidTransition, match="applied already"):
        retry_event(
            container.database.transaction, container.event_source, event_of(container).id, clock=container.clock
        )
    assert count(container, Payment) == 1


def test_one_event_that_cannot_be_applied_keeps_no_other_from_it(
    scenario: StripeScenario, container: Container, stripe: FakeStripe, refunded_too_early: StripeJson
) -> None:
    stripe.pay(scenario.session_of(scenario.create_checkout(key="another")))
    last = [event for event in stripe.events if event["type"] == "invoice.paid"][-1]
    scenario.deliver_webhooks(last)
    assert scenario.run_event_job() == {"waiting": 1, "applied": 1}
    with container.database.read_only() as session:
        found = dict(session.execute(select(GatewayEvent.reference, GatewayEvent.status)).all())
    assert found == {refunded_too_early["id"]: EventStatus.WAITING, last["id"]: EventStatus.APPLIED}


@pytest.mark.usefixtures("refunded_too_early")
def test_while_stripe_is_away_an_event_that_must_be_looked_up_costs_no_try(
    scenario: StripeScenario, container: Container, stripe: FakeStripe
) -> None:
    stripe.faults.respond(503, times=2)
    assert scenario.run_event_job() == {"put_off": 1}
    event = event_of(container)
    assert (event.status, event.attempts, event.reason) == (EventStatus.RECEIVED, 0, None)
    container.clock.now = event.next_attempt_at
    assert scenario.run_event_job() == {"waiting": 1}


@pytest.mark.usefixtures("paid")
def test_an_event_under_a_lost_key_is_parked_and_says_so(
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
    assert StripeScenario(other, scenario.stripe).run_event_job() == {"parked": 1}
    other.database.engine.dispose()
    event = event_of(container)
    assert (event.attempts, event.reason) == (1, "No key opens what this event said.")
