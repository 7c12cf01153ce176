"""Subscription reports: amount, renewal, end and past due; the newest report wins, in whatever order they come."""

import dataclasses
import datetime
import itertools
import uuid

import pytest
from sqlalchemy import update

from schemas.enums import Frequency, PledgeStatus
from service.container import Container
from service.db.models.pledge import Pledge
from service.domain.errors import PaymentMismatch
from service.domain.money import Money
from service.domain.pledges.subscription_reports import SubscriptionOrderUnknown
from tests.domain.ledger import Ledger

SECOND, DAY = datetime.timedelta(seconds=1), datetime.timedelta(days=1)


def dollars(minor: int) -> Money:
    return Money(minor, "USD")


@pytest.fixture
def pledge(ledger: Ledger) -> uuid.UUID:
    """Return a monthly pledge of $5 that was paid a day ago."""
    pledge = ledger.create_pledge(Frequency.MONTHLY)
    ledger.apply(ledger.payment_succeeded(pledge))
    ledger.container.clock.advance(days=1)
    return pledge


@pytest.mark.parametrize(
    ("later", "reported", "expected"),
    [
        (SECOND, 300, 300),
        (SECOND, 900, 900),
        (-SECOND, 300, 500),
        (-SECOND, 900, 500),
    ],
)
def test_amount_follows_newer_reports_and_ignores_older_ones(
    ledger: Ledger, pledge: uuid.UUID, later: datetime.timedelta, reported: int, expected: int
) -> None:
    now = ledger.container.clock()
    ledger.apply(ledger.subscription_updated(pledge, money=dollars(500)))
    ledger.apply(ledger.subscription_updated(pledge, money=dollars(reported), occurred_at=now + later))
    assert ledger.get_pledge(pledge).amount_minor == expected


@pytest.mark.parametrize("amounts", [(900, 300), (300, 900), (700, 900, 300), (900, 700, 900)])
def test_last_amount_of_one_second_wins_in_any_order(ledger: Ledger, amounts: tuple[int, ...]) -> None:
    for order in itertools.permutations(range(len(amounts))):
        pledge = ledger.create_pledge(Frequency.MONTHLY)
        subscription = f"sub_{order}_{pledge}"
        states = [str(amount) for amount in (500, *amounts)]
        reports = [
            ledger.subscription_updated(
                pledge,
                subscription=subscription,
                money=dollars(amount),
                previous_state=states[number],
                state=states[number + 1],
            )
            for number, amount in enumerate(amounts)
        ]
        current = dataclasses.replace(reports[-1], is_current=True)
        # Each is reported twice, and the gateway is asked where the order is not known.
        for number in (*order, *order):
            try:
                ledger.apply(reports[number])
            except SubscriptionOrderUnknown:
                ledger.apply(current)
        assert ledger.get_pledge(pledge).amount_minor == amounts[-1], order


@pytest.mark.parametrize("later_first", [False, True])
def test_order_of_two_linked_changes_of_one_second_needs_no_look_up(
    ledger: Ledger, pledge: uuid.UUID, *, later_first: bool
) -> None:
    first = ledger.subscription_updated(pledge, money=dollars(900), previous_state="a", state="b")
    second = ledger.subscription_updated(pledge, money=dollars(300), previous_state="b", state="c")
    ledger.apply(*((second, first) if later_first else (first, second)))
    assert ledger.get_pledge(pledge).amount_minor == 300


@pytest.mark.parametrize("reported", [300, 900])
def test_first_reported_amount_is_applied(ledger: Ledger, pledge: uuid.UUID, reported: int) -> None:
    ledger.apply(ledger.subscription_updated(pledge, money=dollars(reported)))
    assert ledger.get_pledge(pledge).amount_minor == reported


def test_reported_amount_is_ignored_while_our_own_change_is_pending(
    ledger: Ledger, container: Container, pledge: uuid.UUID
) -> None:
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(pending_amount_minor=700))
    ledger.apply(ledger.subscription_updated(pledge, money=dollars(300)))
    assert (ledger.get_pledge(pledge).amount_minor, ledger.get_pledge(pledge).pending_amount_minor) == (500, 700)


@pytest.mark.parametrize(
    ("charged", "amount", "fees"), [(546, 500, 46), (600, 554, 46), (47, 1, 46), (46, 46, 0), (40, 40, 0)]
)
def test_covered_fees_stay_when_the_charge_changes(
    ledger: Ledger, container: Container, pledge: uuid.UUID, charged: int, amount: int, fees: int
) -> None:
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(fees_minor=46))
    ledger.apply(ledger.subscription_updated(pledge, money=dollars(charged)))
    assert (ledger.get_pledge(pledge).amount_minor, ledger.get_pledge(pledge).fees_minor) == (amount, fees)


def test_subscription_in_another_currency_is_refused(ledger: Ledger, pledge: uuid.UUID) -> None:
    with pytest.raises(PaymentMismatch, match="is in USD"):
        ledger.apply(ledger.subscription_updated(pledge, money=Money(500, "EUR")))


@pytest.mark.parametrize("reports", [(False, True), (True, False)])
@pytest.mark.parametrize("apart", [SECOND, 0 * SECOND, -SECOND])
def test_newest_report_decides_past_due_and_ties_are_past_due(
    ledger: Ledger, pledge: uuid.UUID, reports: tuple[bool, bool], apart: datetime.timedelta
) -> None:
    now = ledger.container.clock()
    for is_past_due, at in zip(reports, (now, now + apart), strict=True):
        ledger.apply(ledger.subscription_updated(pledge, is_past_due=is_past_due, occurred_at=at))
    expects_past_due = any(reports) if not apart else reports[1 if apart > 0 * SECOND else 0]
    expected = PledgeStatus.PAST_DUE if expects_past_due else PledgeStatus.ACTIVE
    assert ledger.get_pledge(pledge).status == expected
    assert ledger.get_pledge(pledge).subscription_status_at == max(now, now + apart)


def test_report_before_the_start_changes_nothing(ledger: Ledger) -> None:
    pledge = ledger.create_pledge(Frequency.MONTHLY)
    ledger.apply(ledger.subscription_updated(pledge, is_started=False, money=dollars(300)))
    found = ledger.get_pledge(pledge)
    assert (found.status, found.amount_minor, found.subscription_status_at) == (PledgeStatus.PENDING, 500, None)
    ledger.apply(ledger.subscription_updated(pledge))
    assert ledger.get_pledge(pledge).status == PledgeStatus.PROCESSING
    ledger.apply(ledger.payment_succeeded(pledge))
    assert ledger.get_pledge(pledge).status == PledgeStatus.ACTIVE


@pytest.mark.parametrize("later_first", [False, True])
def test_latest_reported_renewal_date_wins(ledger: Ledger, pledge: uuid.UUID, *, later_first: bool) -> None:
    now = ledger.container.clock()
    days = (60, 30) if later_first else (30, 60)
    ledger.apply(*(ledger.subscription_updated(pledge, renews_at=now + number * DAY) for number in days))
    assert ledger.get_pledge(pledge).renews_at == now + 60 * DAY


@pytest.mark.parametrize("later_first", [False, True])
def test_ended_subscription_keeps_its_earliest_end_and_never_renews(
    ledger: Ledger, pledge: uuid.UUID, *, later_first: bool
) -> None:
    now = ledger.container.clock()
    ledger.apply(ledger.subscription_updated(pledge, renews_at=now + 30 * DAY))
    ends = (now + DAY, now) if later_first else (now, now + DAY)
    ledger.apply(
        *(ledger.subscription_updated(pledge, is_started=False, ended=True, occurred_at=at) for at in ends)
    )
    ledger.apply(ledger.subscription_updated(pledge, renews_at=now + 60 * DAY))
    found = ledger.get_pledge(pledge)
    assert (found.status, found.ended_at, found.renews_at) == (PledgeStatus.CANCELLED, now, None)


def test_reported_customer_is_stored_and_another_subscription_is_refused(
    ledger: Ledger, pledge: uuid.UUID
) -> None:
    ledger.apply(
        ledger.subscription_updated(pledge, customer="cus_1"),
        ledger.subscription_updated(pledge, customer="cus_2"),
    )
    with pytest.raises(PaymentMismatch, match="another subscription"):
        ledger.apply(ledger.subscription_updated(pledge, subscription="sub_2"))
    found = ledger.get_pledge(pledge)
    # The checkout may have used another customer than the one that we asked for.
    assert (found.subscription_reference, found.customer_reference) == ("sub_1", "cus_2")


def test_one_time_pledge_stores_its_customer_and_no_subscription(ledger: Ledger) -> None:
    pledge = ledger.create_pledge()
    ledger.apply(
        ledger.payment_succeeded(
            pledge, subscription="sub_1", customer="cus_1", renews_at=ledger.container.clock()
        )
    )
    found = ledger.get_pledge(pledge)
    assert (found.subscription_reference, found.customer_reference, found.renews_at) == (None, "cus_1", None)
