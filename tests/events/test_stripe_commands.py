"""`mainstay stripe events|apply|reconcile`: list, retry and reconcile events."""

import json
import uuid
from collections.abc import Callable

import pytest
from click.testing import Result
from sqlalchemy import select

from schemas.enums import EventStatus, Frequency, PledgeStatus
from service.container import Container
from service.db.clock import utc_now
from service.db.models.admin import AuditEntry
from service.db.models.payment import GatewayEvent, Payment
from service.domain.pledges.installation import get_or_create_installation_id
from tests.api.client import count
from tests.cli import assert_cli_error, run_cli
from tests.clock import FakeClock
from tests.events.stripe_fixture import SECRET, StripeScenario
from tests.stripe_double import KEY, FakeStripe
from tests.stripe_double.account import StripeJson

Run = Callable[..., Result]


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock at the current time, because the commands use the system clock."""
    return FakeClock(utc_now())


@pytest.fixture
def run(container: Container, stripe: FakeStripe) -> Run:
    """Return a function that runs a command of this group on the container's database."""

    def run(*arguments: str, **changes: str) -> Result:
        environment = {
            "DATABASE_URL": container.settings.database_url,
            "GATEWAY": "stripe",
            "STRIPE_SECRET_KEY": KEY,
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "STRIPE_API_BASE": stripe.url,
        }
        return run_cli("stripe", *arguments, **environment | changes)

    return run


@pytest.fixture
def sent_events(scenario: StripeScenario, stripe: FakeStripe) -> list[StripeJson]:
    """Return an event of a payment and one of its refund, about which Stripe has another, `refund.created`."""
    charge = stripe.pay(scenario.session_of(scenario.create_checkout(Frequency.ONCE)), email="ada@news.example")
    stripe.refund(charge["id"])
    kinds = ("checkout.session.completed", "charge.refunded")
    return [event for event in stripe.events if event["type"] in kinds]


def id_of(container: Container, event: StripeJson) -> uuid.UUID:
    with container.database.read_only() as session:
        return session.scalars(select(GatewayEvent.id).where(GatewayEvent.reference == event["id"])).one()


def park(container: Container, event: StripeJson) -> None:
    with container.database.transaction() as session:
        row = session.scalars(select(GatewayEvent).where(GatewayEvent.reference == event["id"])).one()
        row.status, row.reason = EventStatus.PARKED, "An operator must look."


def audited_actions(container: Container) -> list[str]:
    with container.database.read_only() as session:
        return list(session.scalars(select(AuditEntry.action)))


def test_events_lists_latest_first_without_personal_data(
    scenario: StripeScenario, container: Container, run: Run, sent_events: list[StripeJson]
) -> None:
    paid, refunded = sent_events
    scenario.deliver_webhooks(paid)
    scenario.run_event_job()
    scenario.deliver_webhooks(refunded)
    park(container, refunded)
    result = run("events")
    assert result.exit_code == 0
    occurred_at = f"{container.clock():%Y-%m-%dT%H:%M:%SZ}"
    assert result.stdout == (
        f"{occurred_at}  {refunded['id']}  charge.refunded  parked  {id_of(container, refunded)}"
        "  An operator must look.\n"
        f"    Fix the cause, then run: mainstay stripe apply {id_of(container, refunded)}\n"
        f"{occurred_at}  {paid['id']}  checkout.session.completed  applied  {id_of(container, paid)}\n"
    )
    assert run("events", "--limit", "1").stdout == "".join(result.stdout.splitlines(keepends=True)[:2])


def test_events_filters_by_status(
    scenario: StripeScenario, container: Container, run: Run, sent_events: list[StripeJson]
) -> None:
    scenario.deliver_webhooks(*sent_events)
    park(container, sent_events[1])
    line, _ = run("events", "--status", "parked").stdout.splitlines()
    assert sent_events[1]["id"] in line
    result = run("events", "--status", "waiting")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No event of Stripe is waiting.\n")


def test_apply_applies_a_parked_event(
    scenario: StripeScenario, container: Container, run: Run, sent_events: list[StripeJson]
) -> None:
    scenario.deliver_webhooks(sent_events[0])
    park(container, sent_events[0])
    assert scenario.run_event_job() == {}
    result = run("apply", str(id_of(container, sent_events[0])))
    assert (result.exit_code, result.stdout) == (0, f"{sent_events[0]['id']} is applied.\n")
    assert count(container, Payment) == 1
    assert audited_actions(container) == ["apply_event"]


def test_apply_reports_why_an_event_still_waits(
    scenario: StripeScenario, container: Container, run: Run, sent_events: list[StripeJson]
) -> None:
    scenario.deliver_webhooks(sent_events[1])
    assert_cli_error(
        run("apply", str(id_of(container, sent_events[1]))), "It is waiting: Its payment is not recorded here."
    )


def test_apply_rejects_applied_and_unknown_events(
    scenario: StripeScenario, container: Container, run: Run, sent_events: list[StripeJson]
) -> None:
    scenario.deliver_webhooks(sent_events[0])
    scenario.run_event_job()
    assert_cli_error(run("apply", str(id_of(container, sent_events[0]))), "applied already")
    assert_cli_error(run("apply", str(uuid.uuid4())), "There is no event with this id.")
    assert_cli_error(run("apply", sent_events[0]["id"]), "is not a valid UUID")
    assert count(container, Payment) == 1


def test_reconcile_applies_missed_events_and_reports_counts(
    scenario: StripeScenario, container: Container, run: Run, sent_events: list[StripeJson]
) -> None:
    scenario.deliver_webhooks(sent_events[0])
    result = run("reconcile")
    assert result.exit_code == 0
    first, *rest = result.stdout.splitlines()
    assert first == "Stripe lists 3 events, of which webhooks missed 2."
    assert rest == ["       3  applied"]
    with container.database.read_only() as session:
        pledge = session.scalars(select(GatewayEvent.pledge_id)).first()
    assert scenario.snapshot(pledge)["pledge"]["status"] == PledgeStatus.REFUNDED
    assert run("reconcile").stdout == "Stripe lists 3 events, of which webhooks missed 0.\n"
    assert audited_actions(container) == ["reconcile"] * 2


def test_reconcile_during_outage_reports_error_and_can_be_retried(
    container: Container, run: Run, stripe: FakeStripe, sent_events: list[StripeJson]
) -> None:
    stripe.faults.respond(503, times=2)
    assert_cli_error(run("reconcile"), "Check STRIPE_SECRET_KEY and https://status.stripe.com")
    assert audited_actions(container) == []
    assert run("reconcile").stdout.startswith(f"Stripe lists {len(sent_events) + 1} events")


@pytest.mark.parametrize("command", [("reconcile",), ("apply", str(uuid.uuid4()))], ids=["reconcile", "apply"])
def test_reconcile_and_apply_require_stripe_gateway(
    run: Run, container: Container, command: tuple[str, ...]
) -> None:
    assert_cli_error(run(*command, GATEWAY="sandbox", STRIPE_SECRET_KEY=""), "GATEWAY must be stripe")
    assert audited_actions(container) == []


@pytest.mark.parametrize("option", [("--status", "lost"), ("--limit", "0"), ("--limit", "ten")])
def test_events_rejects_invalid_options(run: Run, option: tuple[str, str]) -> None:
    assert_cli_error(run("events", *option), f"Invalid value for '{option[0]}'")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ((), ("events", "apply", "reconcile", "setup")),
        (("events",), ("--status", "parked", "--limit")),
        (("apply",), ("EVENT", "parked")),
        (("reconcile",), ("that webhooks missed", "does no harm")),
    ],
    ids=["stripe", "events", "apply", "reconcile"],
)
def test_help_describes_each_command(command: tuple[str, ...], expected: tuple[str, ...]) -> None:
    result = run_cli("stripe", *command, "--help")
    assert result.exit_code == 0
    output = " ".join(result.stdout.split())
    assert [phrase for phrase in expected if phrase not in output] == []


def test_attach_counts_a_second_payment_and_is_audited(
    run: Run, scenario: StripeScenario, stripe: FakeStripe, container: Container
) -> None:
    checkout = scenario.create_checkout(Frequency.ONCE)
    stripe.pay(scenario.session_of(checkout), email="ada@news.example")
    first = next(event for event in stripe.events if event["type"] == "checkout.session.completed")
    intent = first["data"]["object"]["payment_intent"]
    second = json.loads(json.dumps(first).replace(intent, "pi_second").replace(first["id"], "evt_second"))
    scenario.deliver_webhooks(first, second)
    scenario.run_until_idle()
    event_id = str(id_of(container, second))
    advice = "    Refund it at Stripe, or count it as a second payment of the pledge: mainstay stripe attach"
    assert f"{advice} {event_id}" in run("events", "--status", "parked").stdout
    for _ in range(2):
        attached = run("attach", event_id, "--pledge", str(checkout.id))
        assert attached.stdout == f"evt_second is applied to {checkout.id}.\n"
    assert count(container, Payment) == 2
    assert audited_actions(container) == ["attach_event"] * 2
    assert_cli_error(run("attach", event_id, "--pledge", str(uuid.uuid4())), "applied already")


def test_copy_of_a_database_gets_an_id_of_its_own(run: Run, container: Container) -> None:
    with container.database.transaction() as session:
        before = get_or_create_installation_id(session)
    assert run("new-installation-id").exit_code == 1
    created = run("new-installation-id", "--yes")
    with container.database.transaction() as session:
        after = get_or_create_installation_id(session)
    assert after != before
    assert created.stdout == f"This installation is now {after}.\n"
    assert audited_actions(container) == ["new_installation_id"]
