"""The ledger under refunds, disputes and repeated events, in every order."""

import dataclasses
import datetime
import itertools

import pytest
from sqlalchemy import select, update

from schemas.enums import DisputeStatus, Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.container import Container
from service.db.base import new_id
from service.db.models.payment import Payment, Refund
from service.domain.errors import PaymentMismatch
from service.domain.ledger.refunds import update_refund
from service.domain.ledger.totals import CurrencyTotal, list_payments
from service.domain.money import Money
from service.domain.payments.event_handlers import DependencyMissing
from tests.domain.ledger import Ledger

DAY = datetime.timedelta(days=1)
OPEN, LOST, WON = DisputeStatus.OPEN, DisputeStatus.LOST, DisputeStatus.WON


def total(payments: int, received: int, *, refunded: int = 0, disputed: int = 0) -> CurrencyTotal:
    return CurrencyTotal(
        currency="USD", payments=payments, received=received, refunded=refunded, disputed=disputed
    )


@pytest.mark.parametrize(
    ("status", "withheld", "payment_status"),
    [
        (OPEN, 500, PaymentStatus.DISPUTED),
        (LOST, 500, PaymentStatus.DISPUTED),
        (WON, 0, PaymentStatus.SUCCEEDED),
    ],
)
def test_open_and_lost_disputes_reduce_the_net_total(
    ledger: Ledger, status: DisputeStatus, withheld: int, payment_status: PaymentStatus
) -> None:
    pledge = ledger.create_pledge()
    ledger.apply(ledger.payment_succeeded(pledge), ledger.dispute_updated(status))
    retained = 0 if withheld else 1
    assert ledger.totals() == [total(retained, 500, disputed=withheld)]
    assert ledger.totals()[0].net == 500 - withheld
    row = ledger.totals_by_pledge()[pledge]
    assert (row.payments, row.paid_minor) == (retained, 500 - withheld)
    assert ledger.get_payment().status == payment_status


def test_totals_leave_out_failed_payments_and_refunds_that_did_not_succeed(
    ledger: Ledger, container: Container
) -> None:
    pledge = ledger.create_pledge(Frequency.MONTHLY)
    ledger.apply(
        ledger.payment_succeeded(pledge),
        ledger.payment_failed(pledge),
        ledger.refund_updated("re_failed", 100, status=RefundStatus.FAILED),
        ledger.refund_updated("re_done", 200),
        ledger.refund_updated("re_asked", 50),
    )
    with container.database.transaction() as session:
        query = update(Refund).where(Refund.gateway_reference == "re_asked")
        session.execute(query.values(status=RefundStatus.REQUESTED))
    assert ledger.totals() == [total(1, 500, refunded=200)]
    for totals in (ledger.totals_by_pledge(), ledger.totals_by_pledge(pledge)):
        assert (totals[pledge].payments, totals[pledge].paid_minor) == (1, 300)


def test_totals_of_some_pledges_leave_out_all_others(ledger: Ledger) -> None:
    first, second = ledger.create_pledge(), ledger.create_pledge()
    ledger.apply(ledger.payment_succeeded(first, "pay_1"), ledger.payment_succeeded(second, "pay_2", 900))
    ledger.apply(ledger.refund_updated("re_2", 300, payment="pay_2"))
    assert {pledge: row.paid_minor for pledge, row in ledger.totals_by_pledge().items()} == {
        first: 500,
        second: 600,
    }
    assert {pledge: row.paid_minor for pledge, row in ledger.totals_by_pledge(second).items()} == {second: 600}


GATEWAY_STATUSES = (RefundStatus.PENDING, RefundStatus.SUCCEEDED, RefundStatus.CANCELLED, RefundStatus.FAILED)


@pytest.mark.parametrize("order", sorted(set(itertools.permutations(GATEWAY_STATUSES))))
def test_refund_status_never_moves_backwards(ledger: Ledger, order: tuple[RefundStatus, ...]) -> None:
    pledge = ledger.create_pledge()
    ledger.apply(ledger.payment_succeeded(pledge), *(ledger.refund_updated(status=status) for status in order))
    assert ledger.get_refund().status == RefundStatus.FAILED
    assert ledger.get_payment().status == PaymentStatus.SUCCEEDED
    assert ledger.totals() == [total(1, 500)]
    assert ledger.get_pledge(pledge).status == PledgeStatus.COMPLETED


@pytest.mark.parametrize(("before", "reported"), list(itertools.product(GATEWAY_STATUSES, GATEWAY_STATUSES)))
def test_refund_keeps_its_latest_status_and_its_first_reference(
    ledger: Ledger, before: RefundStatus, reported: RefundStatus
) -> None:
    refund = Refund(status=before, gateway_reference="re_1")
    update_refund(refund, ledger.refund_updated("re_2", status=reported))
    assert refund.status == GATEWAY_STATUSES[max(GATEWAY_STATUSES.index(before), GATEWAY_STATUSES.index(reported))]
    assert refund.gateway_reference == "re_1"


@pytest.mark.parametrize(
    ("before", "reported"),
    list(
        itertools.product((RefundStatus.REQUESTED, RefundStatus.WITHDRAWN, RefundStatus.FAILED), GATEWAY_STATUSES)
    ),
)
def test_fact_of_the_gateway_outweighs_a_status_that_only_we_gave(
    ledger: Ledger, before: RefundStatus, reported: RefundStatus
) -> None:
    refund = Refund(id=new_id(), status=before, gateway_reference=None, reason="Withdrawn.")
    update_refund(refund, ledger.refund_updated("re_1", status=reported))
    assert (refund.status, refund.gateway_reference, refund.reason) == (reported, "re_1", None)


def test_refund_that_the_gateway_made_twice_is_recorded_twice(ledger: Ledger, container: Container) -> None:
    ledger.apply(ledger.payment_succeeded(ledger.create_pledge()))
    requested = Refund(
        id=new_id(),
        payment_id=ledger.get_payment().id,
        status=RefundStatus.REQUESTED,
        amount_minor=200,
        currency="USD",
        created_at=container.clock(),
    )
    with container.database.transaction() as session:
        session.add(requested)
    for reference in ("re_1", "re_2", "re_1"):
        ledger.apply(ledger.refund_updated(reference, 200, refund_id=requested.id))
    assert ledger.get_refund("re_1").id == requested.id
    assert ledger.totals() == [total(1, 500, refunded=400)]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (order, WON if WON in order else LOST)
        for statuses in ((OPEN, LOST), (OPEN, WON), (OPEN, LOST, WON))
        for order in itertools.permutations(statuses)
    ],
)
def test_dispute_status_never_moves_backwards_and_opened_at_is_the_earliest(
    ledger: Ledger, statuses: tuple[DisputeStatus, ...], expected: DisputeStatus
) -> None:
    pledge = ledger.create_pledge()
    ledger.apply(ledger.payment_succeeded(pledge))
    occurred_at = {
        status: ledger.container.clock() + number * DAY for number, status in enumerate((OPEN, LOST, WON))
    }
    ledger.apply(*(ledger.dispute_updated(status, occurred_at=occurred_at[status]) for status in statuses))
    assert ledger.get_dispute().status == expected
    assert ledger.get_dispute().opened_at == occurred_at[OPEN]
    assert (ledger.get_payment().status == PaymentStatus.SUCCEEDED) == (expected == WON)


@pytest.mark.parametrize("later_first", [False, True])
def test_payment_time_is_the_earliest_reported_in_either_order(ledger: Ledger, *, later_first: bool) -> None:
    pledge = ledger.create_pledge(Frequency.MONTHLY)
    first = ledger.payment_succeeded(pledge)
    failed = ledger.payment_failed(pledge, occurred_at=first.occurred_at + datetime.timedelta(seconds=1))
    second = dataclasses.replace(first, occurred_at=first.occurred_at + datetime.timedelta(seconds=2))
    ledger.apply(*((second, failed, first) if later_first else (first, failed, second)))
    # The year of a receipt must not move with a report that comes later.
    assert ledger.get_payment().paid_at == first.occurred_at
    # Two reports of one payment count once, and neither is newer than the failed payment after it.
    assert ledger.totals() == [total(1, 500)]
    assert ledger.get_pledge(pledge).status == PledgeStatus.PAST_DUE


def test_latest_of_many_payments_and_failures_decides_past_due(ledger: Ledger) -> None:
    pledge, clock = ledger.create_pledge(Frequency.MONTHLY), ledger.container.clock
    for number in range(3):
        ledger.apply(ledger.payment_succeeded(pledge, f"pay_{number}"))
        assert ledger.get_pledge(pledge).status == PledgeStatus.ACTIVE
        clock.advance(days=1)
        ledger.apply(ledger.payment_failed(pledge, f"try_{number}"))
        assert ledger.get_pledge(pledge).status == PledgeStatus.PAST_DUE
        clock.advance(days=30)


def test_last_payment_is_the_latest_retained_one(ledger: Ledger) -> None:
    pledge, clock = ledger.create_pledge(Frequency.MONTHLY), ledger.container.clock
    ledger.apply(ledger.payment_succeeded(pledge, "pay_oldest"))
    retained_at = clock.advance(days=30)
    ledger.apply(
        ledger.payment_succeeded(pledge, "pay_retained"),
        ledger.refund_updated("re_part", 200, payment="pay_retained"),
    )
    clock.advance(days=30)
    ledger.apply(ledger.payment_succeeded(pledge, "pay_refunded"), ledger.refund_updated(payment="pay_refunded"))
    clock.advance(days=30)
    ledger.apply(ledger.payment_succeeded(pledge, "pay_disputed"), ledger.dispute_updated(payment="pay_disputed"))
    clock.advance(days=30)
    ledger.apply(ledger.payment_failed(pledge))
    row = ledger.totals_by_pledge(pledge)[pledge]
    assert (row.last_payment_at, row.payments, row.paid_minor) == (retained_at, 2, 800)


def test_fully_refunded_pledge_has_no_last_payment(ledger: Ledger) -> None:
    pledge = ledger.create_pledge()
    ledger.apply(ledger.payment_succeeded(pledge), ledger.refund_updated())
    row = ledger.totals_by_pledge()[pledge]
    assert (row.last_payment_at, row.payments, row.paid_minor) == (None, 0, 0)


def test_refund_beyond_the_payment_is_recorded_until_another_fails(ledger: Ledger) -> None:
    pledge = ledger.create_pledge()
    ledger.apply(ledger.payment_succeeded(pledge), ledger.refund_updated("re_1", 500))
    # The event of the failure of re_1 is late.
    ledger.apply(ledger.refund_updated("re_2", 300))
    assert ledger.totals() == [total(0, 500, refunded=800)]
    assert ledger.get_payment().status == PaymentStatus.REFUNDED
    ledger.apply(ledger.refund_updated("re_1", 500, status=RefundStatus.FAILED))
    assert ledger.totals() == [total(1, 500, refunded=300)]
    assert ledger.get_payment().status == PaymentStatus.PARTIALLY_REFUNDED


def test_pending_refund_is_not_counted_as_refunded(ledger: Ledger) -> None:
    pledge = ledger.create_pledge()
    ledger.apply(ledger.payment_succeeded(pledge), ledger.refund_updated(status=RefundStatus.PENDING))
    assert (ledger.totals(), ledger.get_payment().status) == ([total(1, 500)], PaymentStatus.SUCCEEDED)
    ledger.apply(ledger.refund_updated())
    assert ledger.get_pledge(pledge).status == PledgeStatus.REFUNDED


@pytest.mark.parametrize("order", list(itertools.permutations(range(5))))
def test_total_of_a_charge_stands_for_refunds_that_are_not_listed(ledger: Ledger, order: tuple[int, ...]) -> None:
    now = ledger.container.clock()
    seconds = [now + datetime.timedelta(seconds=number) for number in range(6)]
    events = [
        ledger.refunded_total(200, seconds[1]),
        ledger.refunded_total(500, seconds[2]),
        # re_1 is part of both totals above and fails before the last.
        ledger.refund_updated("re_1", 200, occurred_at=seconds[1]),
        ledger.refund_updated(
            "re_1", 200, occurred_at=seconds[1], status=RefundStatus.FAILED, ended_at=seconds[3]
        ),
        ledger.refunded_total(400, seconds[4]),
    ]
    ledger.apply(ledger.payment_succeeded(ledger.create_pledge()))
    for number in (*order, *order):
        ledger.apply(events[number])
    assert ledger.totals() == [total(1, 500, refunded=400)]
    # A refund that is listed later explains a part of the total, and no more.
    ledger.apply(ledger.refund_updated("re_2", 300, occurred_at=seconds[2]))
    assert ledger.totals() == [total(1, 500, refunded=400)]
    assert ledger.get_refund("ch_1@400").amount_minor == 100
    ledger.apply(ledger.refund_updated("re_3", 100, occurred_at=seconds[4]))
    assert ledger.totals() == [total(1, 500, refunded=400)]
    assert ledger.get_refund("ch_1@400").status == RefundStatus.CANCELLED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"payment": "pay_2"}, "another payment"),
        ({"amount": 400}, "another amount"),
        ({"refund": "re_2", "money": Money(100, "EUR")}, "is in USD"),
    ],
)
def test_refund_that_contradicts_the_ledger_is_refused(ledger: Ledger, change: dict, message: str) -> None:
    ledger.apply(
        ledger.payment_succeeded(ledger.create_pledge(), "pay_1"),
        ledger.payment_succeeded(ledger.create_pledge(), "pay_2"),
        ledger.refund_updated(),
    )
    with pytest.raises(PaymentMismatch, match=message):
        ledger.apply(ledger.refund_updated(**change))
    assert ledger.totals() == [total(1, 1000, refunded=500)]


def test_dispute_with_the_reference_of_another_payments_dispute_is_refused(ledger: Ledger) -> None:
    ledger.apply(
        ledger.payment_succeeded(ledger.create_pledge(), "pay_1"),
        ledger.payment_succeeded(ledger.create_pledge(), "pay_2"),
        ledger.dispute_updated(),
    )
    with pytest.raises(PaymentMismatch, match="another payment"):
        ledger.apply(ledger.dispute_updated(WON, payment="pay_2"))
    assert ledger.get_dispute().status == OPEN


@pytest.mark.parametrize(
    ("change", "message"),
    [({"amount": 600}, "another amount"), ({"money": Money(500, "EUR")}, "is in USD")],
)
def test_payment_that_contradicts_the_ledger_is_refused(ledger: Ledger, change: dict, message: str) -> None:
    pledge = ledger.create_pledge(Frequency.MONTHLY)
    ledger.apply(ledger.payment_succeeded(pledge))
    with pytest.raises(PaymentMismatch, match=message):
        ledger.apply(ledger.payment_succeeded(pledge, **change))
    with pytest.raises(PaymentMismatch, match="both as made and as failed"):
        ledger.apply(ledger.payment_failed(pledge, "pay_1"))
    assert ledger.totals() == [total(1, 500)]


def test_refund_of_a_failed_or_foreign_payment_misses_its_dependency(ledger: Ledger, container: Container) -> None:
    ledger.apply(ledger.payment_failed(ledger.create_pledge(), "try_1"))
    with pytest.raises(DependencyMissing):
        ledger.apply(ledger.refund_updated(payment="try_1"))
    ledger.apply(ledger.payment_succeeded(ledger.create_pledge()))
    with container.database.transaction() as session:
        session.execute(update(Payment).values(gateway="another"))
    for event in (ledger.refund_updated(), ledger.dispute_updated()):
        with pytest.raises(DependencyMissing):
            ledger.apply(event)


def test_payments_are_listed_by_payment_time_with_refunds_and_disputes(
    ledger: Ledger, container: Container
) -> None:
    pledge = ledger.create_pledge(Frequency.MONTHLY)
    now = container.clock()
    ledger.apply(
        ledger.payment_succeeded(pledge, "pay_late", occurred_at=now + DAY),
        ledger.payment_succeeded(pledge, "pay_early", occurred_at=now),
    )
    ledger.apply(ledger.refund_updated(payment="pay_late"), ledger.dispute_updated(payment="pay_early"))
    ledger.apply(ledger.payment_succeeded(ledger.create_pledge(), "pay_of_another"))
    with container.database.read_only() as session:
        listed = list_payments(session, pledge)
    assert [
        (payment["gateway_reference"], len(payment["refunds"]), len(payment["disputes"])) for payment in listed
    ] == [
        ("pay_early", 0, 1),
        ("pay_late", 1, 0),
    ]


def test_refund_of_one_payment_leaves_the_status_of_another_unchanged(
    ledger: Ledger, container: Container
) -> None:
    pledge = ledger.create_pledge(Frequency.MONTHLY)
    ledger.apply(ledger.payment_succeeded(pledge, "pay_1"), ledger.payment_succeeded(pledge, "pay_2"))
    ledger.apply(ledger.refund_updated("re_1", 100, payment="pay_1"), ledger.dispute_updated(payment="pay_2"))
    ledger.apply(ledger.refund_updated("re_2", 100, payment="pay_1"))
    with container.database.read_only() as session:
        found = dict(session.execute(select(Payment.gateway_reference, Payment.status)).all())
    assert found == {"pay_1": PaymentStatus.PARTIALLY_REFUNDED, "pay_2": PaymentStatus.DISPUTED}
