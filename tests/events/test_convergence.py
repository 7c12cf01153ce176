"""Whatever order a gateway's events come in, and however often, they end in the same pledge and the same sums."""

import os
import random
import uuid
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from schemas.enums import EventStatus, Frequency, PaymentStatus, PledgeStatus
from service.domain.payments.event_handlers import DependencyMissing, handle_event
from service.domain.ports.payment_events import PaymentEvent
from tests.events.stripe_fixture import StripeScenario, snapshot
from tests.stripe_double.account import StripeJson
from tests.stripe_double.scenarios import one_year_subscription
from tests.stripe_double.webhooks import payload_of

EXAMPLES = 100 if os.environ.get("FAULTS") == "full" else 5
RARELY = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}


def a_year(**fate: object) -> Callable[[StripeScenario], uuid.UUID]:
    def live(scenario: StripeScenario) -> uuid.UUID:
        opened = scenario.create_checkout()
        one_year_subscription(scenario.stripe, session=scenario.session_of(opened), **fate)
        return opened.id

    return live


def a_bank_debit(scenario: StripeScenario) -> uuid.UUID:
    opened = scenario.create_checkout(Frequency.ONCE, amount=1000)
    session = scenario.session_of(opened)
    scenario.stripe.pay_by_bank_debit(session)
    charge = scenario.stripe.settle_bank_debit(session)
    scenario.stripe.refund(charge["id"], 300)
    scenario.stripe.refund(charge["id"], 700)
    return opened.id


def a_second_try(scenario: StripeScenario) -> uuid.UUID:
    opened = scenario.create_checkout(Frequency.ONCE, amount=1000)
    session = scenario.session_of(opened)
    scenario.stripe.decline(session)
    charge = scenario.stripe.pay(session)
    dispute = scenario.stripe.open_dispute(charge["id"])
    scenario.stripe.close_dispute(dispute["id"], "lost")
    return opened.id


def nobody_came(scenario: StripeScenario) -> uuid.UUID:
    opened = scenario.create_checkout(Frequency.ONCE)
    scenario.stripe.decline(scenario.session_of(opened))
    scenario.stripe.abandon(scenario.session_of(opened))
    return opened.id


STORIES = {
    "a year": (a_year(), PledgeStatus.ACTIVE, 12, 5800),
    "a lost dispute": (a_year(dispute="lost"), PledgeStatus.ACTIVE, 11, 5300),
    "given up": (a_year(exhausts_retries=True), PledgeStatus.CANCELLED, 11, 5300),
    "a bank debit": (a_bank_debit, PledgeStatus.REFUNDED, 0, 0),
    "a second try": (a_second_try, PledgeStatus.COMPLETED, 0, 0),
    "nobody": (nobody_came, PledgeStatus.EXPIRED, None, None),
}


def told(scenario: StripeScenario) -> list[StripeJson]:
    """Return the events that Stripe was asked to send, and some on the way that it would send as well."""
    return list(scenario.stripe.events)


def apply_all(session: Session, scenario: StripeScenario, stream: list[list[PaymentEvent]]) -> None:
    """Apply news event by event; what comes too early is tried again at the end."""
    left = stream
    for _ in range(4):
        waiting = []
        for news in left:
            try:
                with session.begin_nested():
                    for one in news:
                        handle_event(session, "stripe", one, now=scenario.container.clock())
            except DependencyMissing:
                waiting.append(news)
        left = waiting
    assert not left


@pytest.mark.parametrize("story", STORIES)
def test_any_order_and_any_repetition_of_what_stripe_tells_ends_in_the_same_books(
    scenario: StripeScenario, story: str
) -> None:
    live, status, payments, kept = STORIES[story]
    pledge = live(scenario)
    stream = [
        news
        for event in told(scenario)
        if (news := scenario.container.event_source.parse_event(payload_of(event).decode()))
    ]
    assert len(stream) > 1
    database = scenario.container.database

    def ends_in(order: list[int]) -> dict:
        with database.engine.connect() as connection, connection.begin() as undone:
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                apply_all(session, scenario, [stream[number] for number in order])
                session.flush()
                found = snapshot(session, pledge)
            undone.rollback()
        return found

    expected = ends_in(list(range(len(stream))))
    assert expected["pledge"]["status"] == status
    assert [(total.payments, total.net) for total in expected["totals"]] == (
        [] if payments is None else [(payments, kept)]
    )
    came = [row for row in expected["payments"] if row[1] != PaymentStatus.FAILED]
    assert sum(row[2] for row in came) == sum(total.received for total in expected["totals"])

    @hypothesis_settings(max_examples=EXAMPLES if len(stream) > 20 else 2 * EXAMPLES, **RARELY)
    @given(st.permutations(range(len(stream))), st.lists(st.integers(0, len(stream) - 1), max_size=12))
    def try_it(order: list[int], again: list[int]) -> None:
        assert ends_in([*order, *again]) == expected

    try_it()


@pytest.mark.parametrize("seed", range(2))
def test_the_inbox_comes_to_the_same_books_however_webhooks_arrive(scenario: StripeScenario, seed: int) -> None:
    pledge = a_year(dispute="lost", exhausts_retries=True)(scenario)
    events = told(scenario)
    scenario.deliver_webhooks(*events)
    scenario.run_until_settled()
    expected = scenario.books(pledge)
    with scenario.container.database.transaction() as session:
        session.connection().exec_driver_sql("DELETE FROM notifications")
        for table in ("disputes", "refunds", "payments", "pledge_status_changes", "gateway_events"):
            session.connection().exec_driver_sql(f"DELETE FROM {table}")
        session.connection().exec_driver_sql(
            "UPDATE pledges SET status = 'pending', subscription_reference = NULL, customer_reference = NULL,"
            " renews_at = NULL, subscription_status_at = NULL, ended_at = NULL, supporter_id = NULL"
        )
    chance = random.Random(seed)
    shuffled = chance.sample(events, len(events)) + chance.choices(events, k=30)
    while shuffled:
        some, shuffled = shuffled[:7], shuffled[7:]
        scenario.deliver_webhooks(*some)
        scenario.run_event_job()
    scenario.run_until_settled()
    assert scenario.books(pledge) == expected
    with scenario.container.database.read_only() as session:
        standing = session.connection().exec_driver_sql("SELECT DISTINCT status FROM gateway_events").scalars()
        assert set(standing) == {EventStatus.APPLIED, EventStatus.IGNORED}
