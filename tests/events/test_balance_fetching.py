"""The job that fetches balance transactions: once per payment, with retries for late ones."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from jobs.payments import fetch_balance_transactions
from schemas.enums import Frequency
from service.bootstrap import build_container
from service.container import Container, utc_now
from service.db.models.payment import BalanceTransaction
from service.domain.ledger import records
from service.domain.ledger.totals import balance_totals
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.events.stripe_fixture import StripeScenario
from tests.jobs.fake_mailer import stopped_event
from tests.stripe_double import FakeStripe
from tests.threads import RUNNING


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock at the current time, because the ids of payments tell how old they are."""
    return FakeClock(utc_now())


@pytest.fixture
def pay(scenario: StripeScenario, stripe: FakeStripe) -> Callable[[Frequency], None]:
    """Return a function that pays ten dollars and processes the events of it."""

    def pay(frequency: Frequency) -> None:
        event_count = len(stripe.events)
        stripe.pay(scenario.session_of(scenario.create_checkout(frequency, amount=1000)))
        scenario.deliver_webhooks(*stripe.events[event_count:])
        scenario.run_until_idle()

    return pay


def balance_transactions(container: Container) -> list[tuple[int, int, int, str]]:
    """Return gross, fee, net and currency of each balance transaction."""
    with container.database.read_only() as session:
        rows = session.scalars(select(BalanceTransaction)).all()
    return [(row.gross_minor, row.fee_minor, row.net_minor, row.currency) for row in rows]


def call_count(stripe: FakeStripe) -> int:
    """Return the number of calls to Stripe."""
    return sum(stripe.faults.calls.values())


@pytest.mark.parametrize("frequency", [Frequency.ONCE, Frequency.MONTHLY])
def test_balance_transaction_is_fetched_once(
    container: Container, stripe: FakeStripe, pay: Callable[[Frequency], None], frequency: Frequency
) -> None:
    pay(frequency)
    assert balance_transactions(container) == []
    assert fetch_balance_transactions(container, RUNNING) == {"fetched": 1}
    assert balance_transactions(container) == [(1000, 59, 941, "USD")]
    calls_before = call_count(stripe)
    assert fetch_balance_transactions(container, RUNNING) == {"fetched": 0}
    assert call_count(stripe) == calls_before
    assert balance_transactions(container) == [(1000, 59, 941, "USD")]
    with container.database.read_only() as session:
        [total] = balance_totals(session)
    assert (total.gross, total.fees, total.net) == (1000, 59, 941)


def test_late_balance_transaction_is_retried_hours_later(
    container: Container, stripe: FakeStripe, pay: Callable[[Frequency], None], clock: FakeClock
) -> None:
    stripe.settings.async_capture = True
    pay(Frequency.ONCE)
    assert fetch_balance_transactions(container, RUNNING) == {"fetched": 0}
    clock.advance(hours=5)
    assert fetch_balance_transactions(container, RUNNING) == {"fetched": 0}
    assert balance_transactions(container) == []
    stripe.settle_balances()
    assert fetch_balance_transactions(container, RUNNING) == {"fetched": 1}
    assert balance_transactions(container) == [(1000, 59, 941, "USD")]


def test_balance_transaction_is_not_fetched_after_sixty_days(
    container: Container, stripe: FakeStripe, pay: Callable[[Frequency], None], clock: FakeClock
) -> None:
    pay(Frequency.ONCE)
    clock.advance(days=61)
    calls_before = call_count(stripe)
    assert fetch_balance_transactions(container, RUNNING) == {"fetched": 0}
    assert call_count(stripe) == calls_before


def test_outage_stops_fetching_after_one_call_and_loses_nothing(
    container: Container, stripe: FakeStripe, pay: Callable[[Frequency], None]
) -> None:
    for _ in range(3):
        pay(Frequency.ONCE)
    calls_before = call_count(stripe)
    stripe.faults.respond(503, times=2)
    assert fetch_balance_transactions(container, RUNNING) == {"fetched": 0}
    # The two calls are the first attempt and the library's retry; the other two payments are not looked up.
    assert call_count(stripe) - calls_before == 2
    assert balance_transactions(container) == []
    assert fetch_balance_transactions(container, RUNNING) == {"fetched": 3}


def test_old_payment_without_balance_transaction_does_not_starve_others(
    container: Container,
    stripe: FakeStripe,
    pay: Callable[[Frequency], None],
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(records, "OLDER_BATCH_SIZE", 1)
    stripe.settings.async_capture = True
    pay(Frequency.ONCE)
    stripe.settings.async_capture = False
    pay(Frequency.ONCE)
    clock.advance(hours=2)
    # The job picks one of the two at random; missing the other sixty times in a row has probability 2**-60.
    assert any(fetch_balance_transactions(container, RUNNING) == {"fetched": 1} for _ in range(60))
    assert len(balance_transactions(container)) == 1


def test_balance_transaction_is_stored_in_payout_currency(
    container: Container, stripe: FakeStripe, pay: Callable[[Frequency], None]
) -> None:
    stripe.settings.payout_currencies["usd"] = ("eur", 0.9)
    pay(Frequency.ONCE)
    assert fetch_balance_transactions(container, RUNNING) == {"fetched": 1}
    assert balance_transactions(container) == [(900, 53, 847, "EUR")]


def test_stopped_worker_makes_no_call(
    container: Container, stripe: FakeStripe, pay: Callable[[Frequency], None]
) -> None:
    pay(Frequency.ONCE)
    calls_before = call_count(stripe)
    assert fetch_balance_transactions(container, stopped_event()) == {"fetched": 0}
    assert call_count(stripe) == calls_before


def test_job_does_nothing_without_stripe(migrated_database: str) -> None:
    sandbox = build_container(settings_for(migrated_database))
    assert fetch_balance_transactions(sandbox, RUNNING) is None
    sandbox.database.engine.dispose()
