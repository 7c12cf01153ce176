"""`mainstay stripe events|apply|reconcile`: what Stripe told us, and what it did not."""

import uuid
from collections.abc import Callable

import pytest
from click.testing import Result
from sqlalchemy import select

from schemas.enums import EventStatus, Frequency, PledgeStatus
from service.container import Container, utc_now
from service.db.models.admin import AuditEntry
from service.db.models.payment import GatewayEvent, Payment
from tests.api.client import count
from tests.cli import assert_cli_error, run_cli
from tests.clock import FakeClock
from tests.events.stripe_fixture import SECRET, StripeScenario
from tests.stripe_double import KEY, FakeStripe
from tests.stripe_double.account import StripeJson

Run = Callable[..., Result]


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands at this moment: the commands go by that of every real process."""
    return FakeClock(utc_now())


@pytest.fixture
def run(container: Container, stripe: FakeStripe) -> Run:
    """Return what runs a command of this group on the shop's database."""

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
def told(scenario: StripeScenario, stripe: FakeStripe) -> list[StripeJson]:
    """Return what Stripe tells of a gift that came and went back."""
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
        row.status, row.reason = EventStatus.PARKED, "Somebody must look."


def audited(container: Container) -> list[str]:
    with container.database.read_only() as session:
        return list(session.scalars(select(AuditEntry.action)))


def test_events_are_listed_the_latest_first_and_name_nobody(
    scenario: StripeScenario, container: Container, run: Run, told: list[StripeJson]
) -> None:
    paid, refunded = told
    scenario.deliver_webhooks(paid)
    scenario.run_event_job()
    scenario.deliver_webhooks(refunded)
    park(container, refunded)
    result = run("events")
    assert result.exit_code == 0
    came = f"{container.clock():%Y-%m-%dT%H:%M:%SZ}"
    assert result.stdout == (
        f"{came}  {refunded['id']}  charge.refunded  parked  {id_of(container, refunded)}  Somebody must look.\n"
        f"{came}  {paid['id']}  checkout.session.completed  applied  {id_of(container, paid)}\n"
    )
    assert run("events", "--limit", "1").stdout == result.stdout.splitlines(keepends=True)[0]


def test_only_those_that_are_asked_for_are_listed(
    scenario: StripeScenario, container: Container, run: Run, told: list[StripeJson]
) -> None:
    scenario.deliver_webhooks(*told)
    park(container, told[1])
    (line,) = run("events", "--status", "parked").stdout.splitlines()
    assert told[1]["id"] in line
    result = run("events", "--status", "waiting")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "There is no such event.\n")


def test_a_parked_event_is_applied_by_its_id(
    scenario: StripeScenario, container: Container, run: Run, told: list[StripeJson]
) -> None:
    scenario.deliver_webhooks(told[0])
    park(container, told[0])
    assert scenario.run_event_job() == {}
    result = run("apply", str(id_of(container, told[0])))
    assert (result.exit_code, result.stdout) == (0, f"{told[0]['id']} is applied.\n")
    assert count(container, Payment) == 1
    assert audited(container) == ["apply_event"]


def test_what_still_cannot_be_applied_says_why(
    scenario: StripeScenario, container: Container, run: Run, told: list[StripeJson]
) -> None:
    scenario.deliver_webhooks(told[1])
    assert_cli_error(
        run("apply", str(id_of(container, told[1]))), "It is waiting: Its payment is not in the books."
    )


def test_what_was_applied_or_is_not_there_is_refused(
    scenario: StripeScenario, container: Container, run: Run, told: list[StripeJson]
) -> None:
    scenario.deliver_webhooks(told[0])
    scenario.run_event_job()
    assert_cli_error(run("apply", str(id_of(container, told[0]))), "applied already")
    assert_cli_error(run("apply", str(uuid.uuid4())), "There is no event with this id.")
    assert_cli_error(run("apply", told[0]["id"]), "is not a valid UUID")
    assert count(container, Payment) == 1


def test_reconcile_applies_what_no_webhook_told_and_says_how_much(
    scenario: StripeScenario, container: Container, run: Run, told: list[StripeJson]
) -> None:
    scenario.deliver_webhooks(told[0])
    result = run("reconcile")
    assert result.exit_code == 0
    first, *rest = result.stdout.splitlines()
    assert first == "Stripe tells of 2 events, of which no webhook told us 1."
    assert rest == ["       2  applied"]
    with container.database.read_only() as session:
        pledge = session.scalars(select(GatewayEvent.pledge_id)).first()
    assert scenario.books(pledge)["pledge"]["status"] == PledgeStatus.REFUNDED
    assert run("reconcile").stdout == "Stripe tells of 2 events, of which no webhook told us 0.\n"
    assert audited(container) == ["reconcile"] * 2


def test_reconcile_without_stripe_s_answer_is_one_sentence_and_loses_nothing(
    container: Container, run: Run, stripe: FakeStripe, told: list[StripeJson]
) -> None:
    stripe.faults.respond(503, times=2)
    assert_cli_error(run("reconcile"), "Check STRIPE_SECRET_KEY and https://status.stripe.com")
    assert audited(container) == []
    assert run("reconcile").stdout.startswith(f"Stripe tells of {len(told)} events")


@pytest.mark.parametrize("command", [("reconcile",), ("apply", str(uuid.uuid4()))], ids=["reconcile", "apply"])
def test_without_stripe_both_say_which_setting_is_missing(
    run: Run, container: Container, command: tuple[str, ...]
) -> None:
    assert_cli_error(run(*command, GATEWAY="sandbox", STRIPE_SECRET_KEY=""), "GATEWAY must be stripe")
    assert audited(container) == []


@pytest.mark.parametrize("wrong", [("--status", "lost"), ("--limit", "0"), ("--limit", "ten")])
def test_a_list_of_what_there_cannot_be_is_refused(run: Run, wrong: tuple[str, str]) -> None:
    assert_cli_error(run("events", *wrong), f"Invalid value for '{wrong[0]}'")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ((), ("events", "apply", "reconcile", "setup")),
        (("events",), ("--status", "parked", "--limit")),
        (("apply",), ("EVENT", "parked")),
        (("reconcile",), ("no webhook told us", "does no harm")),
    ],
    ids=["stripe", "events", "apply", "reconcile"],
)
def test_help_says_what_each_is_for(command: tuple[str, ...], said: tuple[str, ...]) -> None:
    result = run_cli("stripe", *command, "--help")
    assert result.exit_code == 0
    words = " ".join(result.stdout.split())
    assert [word for word in said if word not in words] == []
