"""What Stripe kept of each payment: asked for once, later where it is late, and never at the cost of anything."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import select

from jobs.payments import fetch_balance_transactions
from schemas.enums import Frequency
from service.bootstrap import build_container
from service.container import Container, utc_now
from service.db.models.payment import BalanceTransaction
from service.domain.ledger import records as balances
from service.domain.ledger.totals import balance_totals
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.events.stripe_fixture import StripeScenario
from tests.jobs.fake_mailer import stopped_event
from tests.stripe_double import FakeStripe

GO_ON = threading.Event()


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands at this moment: which payments are young is told from their ids."""
    return FakeClock(utc_now())


@pytest.fixture
def give(scenario: StripeScenario, stripe: FakeStripe) -> Callable[[Frequency], None]:
    """Let a reader give ten dollars, and write down all that Stripe tells of it."""

    def give(frequency: Frequency) -> None:
        told = len(stripe.events)
        stripe.pay(scenario.session_of(scenario.create_checkout(frequency, amount=1000)))
        scenario.deliver_webhooks(*stripe.events[told:])
        scenario.run_until_settled()

    return give


def entries(container: Container) -> list[tuple[int, int, int, str]]:
    """Return the gross, the fee, the net and the currency of each entry."""
    with container.database.read_only() as session:
        kept = session.scalars(select(BalanceTransaction)).all()
    return [(entry.gross_minor, entry.fee_minor, entry.net_minor, entry.currency) for entry in kept]


def lookups(stripe: FakeStripe) -> int:
    """Return how often Stripe was asked for anything."""
    return sum(stripe.faults.calls.values())


@pytest.mark.parametrize("frequency", [Frequency.ONCE, Frequency.MONTHLY])
def test_the_fee_of_a_payment_is_written_down_once(
    container: Container, stripe: FakeStripe, give: Callable[[Frequency], None], frequency: Frequency
) -> None:
    give(frequency)
    assert entries(container) == []
    assert fetch_balance_transactions(container, GO_ON) == {"fetched": 1}
    assert entries(container) == [(1000, 59, 941, "USD")]
    asked = lookups(stripe)
    assert fetch_balance_transactions(container, GO_ON) == {"fetched": 0}
    assert lookups(stripe) == asked
    assert entries(container) == [(1000, 59, 941, "USD")]
    with container.database.read_only() as session:
        [total] = balance_totals(session)
    assert (total.gross, total.fees, total.net) == (1000, 59, 941)


def test_a_balance_that_is_late_is_asked_for_again_also_hours_later(
    container: Container, stripe: FakeStripe, give: Callable[[Frequency], None], clock: FakeClock
) -> None:
    stripe.settings.async_capture = True
    give(Frequency.ONCE)
    assert fetch_balance_transactions(container, GO_ON) == {"fetched": 0}
    clock.advance(hours=5)
    assert fetch_balance_transactions(container, GO_ON) == {"fetched": 0}
    assert entries(container) == []
    stripe.settle_balances()
    assert fetch_balance_transactions(container, GO_ON) == {"fetched": 1}
    assert entries(container) == [(1000, 59, 941, "USD")]


def test_after_sixty_days_nobody_asks_any_more(
    container: Container, stripe: FakeStripe, give: Callable[[Frequency], None], clock: FakeClock
) -> None:
    give(Frequency.ONCE)
    clock.advance(days=61)
    asked = lookups(stripe)
    assert fetch_balance_transactions(container, GO_ON) == {"fetched": 0}
    assert lookups(stripe) == asked


def test_stripe_down_costs_one_question_and_loses_nothing(
    container: Container, stripe: FakeStripe, give: Callable[[Frequency], None]
) -> None:
    for _ in range(3):
        give(Frequency.ONCE)
    asked = lookups(stripe)
    stripe.faults.respond(503, times=2)
    assert fetch_balance_transactions(container, GO_ON) == {"fetched": 0}
    # The library tries once more by itself; the other two payments are not even asked for.
    assert lookups(stripe) - asked == 2
    assert entries(container) == []
    assert fetch_balance_transactions(container, GO_ON) == {"fetched": 3}


def test_an_old_payment_that_never_has_a_balance_keeps_no_other_from_its_turn(
    container: Container,
    stripe: FakeStripe,
    give: Callable[[Frequency], None],
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(balances, "OLDER_BATCH_SIZE", 1)
    stripe.settings.async_capture = True
    give(Frequency.ONCE)
    stripe.settings.async_capture = False
    give(Frequency.ONCE)
    clock.advance(hours=2)
    # By lot one in two is the other: that it never comes in sixty draws is not to be expected.
    assert any(fetch_balance_transactions(container, GO_ON) == {"fetched": 1} for _ in range(60))
    assert len(entries(container)) == 1


def test_what_stripe_keeps_in_another_currency_is_written_down_in_that(
    container: Container, stripe: FakeStripe, give: Callable[[Frequency], None]
) -> None:
    stripe.settings.payout_currencies["usd"] = ("eur", 0.9)
    give(Frequency.ONCE)
    assert fetch_balance_transactions(container, GO_ON) == {"fetched": 1}
    assert entries(container) == [(900, 53, 847, "EUR")]


def test_a_worker_that_is_told_to_stop_asks_nothing_more(
    container: Container, stripe: FakeStripe, give: Callable[[Frequency], None]
) -> None:
    give(Frequency.ONCE)
    asked = lookups(stripe)
    assert fetch_balance_transactions(container, stopped_event()) == {"fetched": 0}
    assert lookups(stripe) == asked


def test_without_stripe_there_is_nobody_to_ask(migrated_database: str) -> None:
    sandbox = build_container(settings_for(migrated_database))
    assert fetch_balance_transactions(sandbox, GO_ON) is None
    sandbox.database.engine.dispose()
