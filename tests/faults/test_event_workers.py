"""Two workers apply shuffled and repeated Stripe events; the ledger ends equal to Stripe's own sums."""

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from schemas.enums import EventStatus, Frequency
from service.container import Container
from service.db.clock import utc_now
from service.db.models.payment import GatewayEvent
from service.domain.ledger.totals import totals_by_currency
from service.settings import Settings
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.events.stripe_fixture import SECRET, StripeScenario
from tests.faults.scale import SCALE, print_report
from tests.processes import wait_until, worker
from tests.stripe_double import KEY, FakeStripe

SEED = 20_261_126


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    """Return the Stripe double. Its clock starts at the real time, and its actions advance it."""
    with FakeStripe(clock=FakeClock(utc_now())) as stripe:
        yield stripe


@pytest.fixture
def stripe_settings(stripe: FakeStripe) -> dict[str, str]:
    """Return the environment of a process that takes payments through the double."""
    return {
        "GATEWAY": "stripe",
        "STRIPE_SECRET_KEY": KEY,
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_API_BASE": stripe.url,
    }


@pytest.fixture
def settings(migrated_database: str, stripe_settings: dict[str, str]) -> Settings:
    return settings_for(migrated_database, **stripe_settings)


def give_once(scenario: StripeScenario, act: str) -> uuid.UUID:
    """Create a one-time pledge of $10, pay it, and let what `act` names happen to its payment."""
    checkout = scenario.create_checkout(Frequency.ONCE, amount=1000)
    session = scenario.session_of(checkout)
    if act == "bank debit":
        scenario.stripe.pay_by_bank_debit(session)
        scenario.stripe.settle_bank_debit(session)
        return checkout.id
    if act == "second card":
        scenario.stripe.decline(session)
    charge = scenario.stripe.pay(session)["id"]
    if act == "two refunds":
        scenario.stripe.refund(charge, 300)
        scenario.stripe.refund(charge, 700)
    elif act == "failed refund":
        scenario.stripe.fail_refund(scenario.stripe.refund(charge, 1000)["id"])
        scenario.stripe.refund(charge, 400)
    elif act in ("won", "lost"):
        scenario.stripe.close_dispute(scenario.stripe.open_dispute(charge)["id"], act)
    return checkout.id


# What happens to a payment of $10, and what the newsroom still has of it, in minor units.
ACTS = {
    "nothing": 1000,
    "second card": 1000,
    "bank debit": 1000,
    "two refunds": 0,
    "failed refund": 600,
    "won": 1000,
    "lost": 0,
}


def test_two_workers_apply_shuffled_and_repeated_events_exactly_once(
    container: Container, stripe: FakeStripe, url: str, stripe_settings: dict[str, str], tmp_path: Path
) -> None:
    scenario, rng = StripeScenario(container, stripe), random.Random(SEED)
    expected_net = pledges = 0
    while len(stripe.events) < SCALE.events:
        for act, net in ACTS.items():
            give_once(scenario, act)
            expected_net, pledges = expected_net + net, pledges + 1
    events = rng.sample(stripe.events, len(stripe.events))
    log = tmp_path / "log"
    with ExitStack() as stack:
        processes = [stack.enter_context(worker(url, log, **stripe_settings)) for _ in range(2)]
        # Webhooks arrive while the workers run, in any order and with repetitions.
        for event in [*events, *rng.choices(events, k=len(events) // 4)]:
            scenario.deliver_webhooks(event)
        wait_until(
            lambda: not count(container, EventStatus.RECEIVED),
            what="each event to be tried",
            seconds=SCALE.max_wait_seconds,
        )
        wait_until(
            lambda: not retry_waiting_events(container), what="the other events", seconds=SCALE.max_wait_seconds
        )
        assert all(process.poll() is None for process in processes)
    with container.database.read_only() as session:
        (totals,) = totals_by_currency(session)
        parked = session.scalars(
            select(GatewayEvent.reason).where(GatewayEvent.status == EventStatus.PARKED)
        ).all()
        stored = session.scalar(select(func.count()).select_from(GatewayEvent))
    print_report(
        f"{stored:,} shuffled events of {pledges} pledges, a quarter delivered twice, two workers: "
        f"net {totals.net:,} of {expected_net:,} minor units, {len(parked)} parked"
    )
    assert parked == []
    assert stored == len(events)
    assert (totals.received, totals.net) == (1000 * pledges, expected_net)


def count(container: Container, status: EventStatus) -> int:
    """Return the number of events that have this status."""
    with container.database.read_only() as session:
        query = select(func.count()).select_from(GatewayEvent).where(GatewayEvent.status == status)
        return session.scalar(query) or 0


def retry_waiting_events(container: Container) -> int:
    """Make the events due that wait for another event, without their delay of minutes; return how many wait."""
    time.sleep(1)
    with container.database.transaction() as session:
        is_waiting = GatewayEvent.status == EventStatus.WAITING
        return session.execute(update(GatewayEvent).where(is_waiting).values(next_attempt_at=utc_now())).rowcount
