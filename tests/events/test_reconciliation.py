"""The nightly reconciliation: when it is due, how far it looks back, what it finds, and key rotation meanwhile."""

import datetime
from typing import Any

import pytest
from sqlalchemy import select

from jobs.payments import reconcile_payments
from schemas.enums import EmailKind, EventStatus, Frequency, PledgeStatus
from service.bootstrap import build_container
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.payment import GatewayEvent, ReconciliationCursor
from service.domain.payments.reconciliation import is_due, reconcile
from service.domain.ports import GatewayUnavailable
from service.domain.privacy.key_rotation import rotate_keys
from tests.conftest import settings_for
from tests.events.stripe_fixture import SECRET, StripeScenario
from tests.jobs.fake_mailer import stopped_event
from tests.stripe_double import KEY, FakeStripe
from tests.threads import RUNNING

OLD, NEW = (f"{name}-key-0123456789-0123456789-0123" for name in ("old", "new"))


def at(day: int, time: str) -> datetime.datetime:
    """Return an instant of November 2026, in UTC."""
    return datetime.datetime.fromisoformat(f"2026-11-{day:02}T{time}+00:00")


def set_cursor(container: Container, until: datetime.datetime) -> None:
    """Store until when the last reconciliation ran."""
    with container.database.transaction() as session:
        session.merge(ReconciliationCursor(gateway="stripe", reconciled_until=until))


def cursor(container: Container) -> datetime.datetime | None:
    with container.database.read_only() as session:
        return session.scalar(select(ReconciliationCursor.reconciled_until))


def sources(container: Container) -> dict[str, str]:
    """Return the source of each stored event by its reference."""
    with container.database.read_only() as session:
        return dict(session.execute(select(GatewayEvent.reference, GatewayEvent.source)).all())


def event_statuses(container: Container, kind: str) -> list[EventStatus]:
    with container.database.read_only() as session:
        return list(session.scalars(select(GatewayEvent.status).where(GatewayEvent.kind == kind)))


def run_reconciliation(container: Container) -> None:
    reconcile(
        container.database.transaction,
        container.gateway,
        container.event_source,
        urls=container.urls,
        clock=container.clock,
    )


def pay_once(scenario: StripeScenario, key: str) -> dict[str, Any]:
    """Pay a one-time pledge; return the event of its checkout."""
    scenario.stripe.pay(scenario.session_of(scenario.create_checkout(Frequency.ONCE, key=key)))
    return [event for event in scenario.stripe.events if event["type"] == "checkout.session.completed"][-1]


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        (at(22, "03:00:10"), at(23, "02:59:59"), False),
        (at(22, "03:00:10"), at(23, "03:00:00"), True),
        (at(23, "03:00:00"), at(23, "03:00:00"), False),
        (at(23, "03:00:10"), at(23, "23:59:59"), False),
        (at(23, "03:00:10"), at(24, "00:00:00"), False),
        (at(22, "14:00:00"), at(23, "02:00:00"), False),
        (at(22, "02:59:59"), at(23, "02:00:00"), True),
        (at(19, "03:00:10"), at(23, "12:00:00"), True),
    ],
)
def test_reconciliation_is_due_nightly_at_three_utc(
    container: Container, last: datetime.datetime, now: datetime.datetime, due: bool
) -> None:
    set_cursor(container, last)
    with container.database.read_only() as session:
        assert is_due(session, "stripe", now=now) == due
        assert is_due(session, "another", now=now)


def test_missed_events_are_found_once_a_night_and_reported(scenario: StripeScenario, container: Container) -> None:
    delivered, missed = pay_once(scenario, "delivered"), pay_once(scenario, "missed")
    scenario.deliver_webhooks(delivered)
    scenario.run_event_job()
    assert reconcile_payments(container, RUNNING) == {"seen": 2, "not_told": 1, "applied": 1}
    assert sources(container) == {delivered["id"]: "webhook", missed["id"]: "reconciler"}
    assert [total.received for total in scenario.snapshot(_pledge_of(container, missed))["totals"]] == [1000]
    assert cursor(container) == container.clock()
    # Until the next night, the job only completes pending operations.
    container.clock.now = at(24, "02:59:00")
    assert reconcile_payments(container, RUNNING) == {}
    assert cursor(container) == at(23, "09:30:00")
    container.clock.now = at(24, "03:00:00")
    assert reconcile_payments(container, RUNNING) == {"seen": 2, "not_told": 0}


def test_reconciliation_overlaps_the_last_one_by_a_day(
    scenario: StripeScenario, container: Container, stripe: FakeStripe
) -> None:
    clock = container.clock
    clock.now = at(22, "03:59:00")
    too_old = pay_once(scenario, "too old")
    clock.now = at(22, "04:00:00")
    just_in = pay_once(scenario, "just in")
    clock.now = at(24, "03:00:00")
    set_cursor(container, at(23, "04:00:00"))
    assert reconcile_payments(container, RUNNING) == {"seen": 1, "not_told": 1, "applied": 1}
    assert set(sources(container)) == {just_in["id"]}
    assert too_old["id"] in [event["id"] for event in stripe.events]


def test_first_reconciliation_covers_stripes_event_retention(
    scenario: StripeScenario, container: Container
) -> None:
    event = pay_once(scenario, "long ago")
    container.clock.advance(days=29)
    assert reconcile_payments(container, RUNNING) == {"seen": 1, "not_told": 1, "applied": 1}
    assert scenario.snapshot(_pledge_of(container, event))["pledge"]["status"] == PledgeStatus.COMPLETED


def test_outage_does_not_advance_the_cursor(scenario: StripeScenario, container: Container) -> None:
    pay_once(scenario, "given")
    set_cursor(container, at(22, "09:00:00"))
    scenario.stripe.faults.respond(503, times=2)
    with pytest.raises(GatewayUnavailable):
        reconcile_payments(container, RUNNING)
    assert cursor(container) == at(22, "09:00:00")
    assert reconcile_payments(container, RUNNING) == {"seen": 1, "not_told": 1, "applied": 1}


def test_stopped_reconciliation_does_not_advance_the_cursor(
    scenario: StripeScenario, container: Container
) -> None:
    pay_once(scenario, "given")
    assert reconcile_payments(container, stopped_event()) == {"seen": 1, "not_told": 1}
    assert cursor(container) is None
    assert reconcile_payments(container, RUNNING) == {"seen": 1, "not_told": 0, "applied": 1}


def test_event_payloads_survive_key_rotation(
    scenario: StripeScenario, container: Container, migrated_database: str
) -> None:
    def with_keys(*keys: str) -> StripeScenario:
        stripe = {
            "STRIPE_SECRET_KEY": KEY,
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "STRIPE_API_BASE": scenario.stripe.url,
        }
        settings = settings_for(migrated_database, SECRET_KEYS=",".join(keys), GATEWAY="stripe", **stripe)
        return StripeScenario(build_container(settings, clock=container.clock), scenario.stripe)

    before, between, after = with_keys(OLD), with_keys(NEW, OLD), with_keys(NEW)
    try:
        event = pay_once(before, "given")
        before.deliver_webhooks(event)
        done = rotate_keys(between.container.database.transaction, clock=container.clock)
        assert (done.rotated, done.undecryptable) == (1, ())
        with after.container.database.read_only() as session:
            assert event["id"] in session.scalars(select(GatewayEvent.payload)).one()
        assert after.run_event_job() == {"applied": 1}
        assert rotate_keys(between.container.database.transaction, clock=container.clock).rotated == 0
    finally:
        for scenario_with_keys in (before, between, after):
            scenario_with_keys.container.database.engine.dispose()


def _pledge_of(container: Container, event: dict[str, Any]) -> Any:
    with container.database.read_only() as session:
        return session.scalars(select(GatewayEvent.pledge_id).where(GatewayEvent.reference == event["id"])).one()


def test_refund_that_was_parked_for_want_of_its_payment_is_booked_once_that_is_found(
    scenario: StripeScenario, container: Container
) -> None:
    checkout = scenario.create_checkout(Frequency.ONCE, amount=1000)
    paid = scenario.stripe.pay(scenario.session_of(checkout))
    refund = scenario.stripe.refund(paid["id"], 400)
    scenario.deliver_webhooks(*(event for event in scenario.stripe.events if event["type"] == "refund.created"))
    scenario.run_until_idle()
    scenario.run_until_idle()
    assert event_statuses(container, "refund.created") == [EventStatus.PARKED]
    scenario.stripe.account.events = [
        event for event in scenario.stripe.account.events if event["type"] != "charge.refunded"
    ]
    run_reconciliation(container)
    assert event_statuses(container, "refund.created") == [EventStatus.APPLIED]
    assert [row[0] for row in scenario.snapshot(checkout.id)["refunds"]] == [refund["id"]]


def test_parked_event_that_is_still_unresolved_raises_no_second_alert(
    scenario: StripeScenario, container: Container
) -> None:
    checkout = scenario.create_checkout(Frequency.ONCE, amount=1000)
    paid = scenario.stripe.pay(scenario.session_of(checkout))
    scenario.stripe.refund(paid["id"], 400)
    scenario.deliver_webhooks(*(event for event in scenario.stripe.events if event["type"] == "refund.created"))
    scenario.run_until_idle()
    scenario.run_until_idle()
    scenario.stripe.account.events = []
    container.clock.advance(days=2)
    run_reconciliation(container)
    assert event_statuses(container, "refund.created") == [EventStatus.PARKED]
    with container.database.read_only() as session:
        is_alert = OutgoingEmail.kind == EmailKind.ALERT
        assert len(session.scalars(select(OutgoingEmail.id).where(is_alert)).all()) == 1
