"""The ledger under refunds, disputes and repeated events, in every order."""

import dataclasses
import datetime
import itertools

import pytest
from sqlalchemy import select, update

from schemas.enums import DisputeStatus, Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.container import Container
from service.db.models.payment import Payment, Refund
from service.domain.errors import PaymentMismatch
from service.domain.ledger.records import update_refund_status
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
        ledger.refund_updated("re_failed", 100, failed=True),
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


@pytest.mark.parametrize("order", sorted(set(itertools.permutations([False, True, False, True]))))
def test_refund_status_never_moves_backwards(ledger: Ledger, order: tuple[bool, ...]) -> None:
    pledge = ledger.create_pledge()
    ledger.apply(ledger.payment_succeeded(pledge), *(ledger.refund_updated(failed=failed) for failed in order))
    assert ledger.get_refund().status == RefundStatus.FAILED
    assert ledger.get_payment().status == PaymentStatus.SUCCEEDED
    assert ledger.totals() == [total(1, 500)]
    assert ledger.get_pledge(pledge).status == PledgeStatus.COMPLETED


@pytest.mark.parametrize(("before", "reported"), list(itertools.product(RefundStatus, RefundStatus)))
def test_refund_keeps_its_latest_status_and_its_first_reference(
    before: RefundStatus, reported: RefundStatus
) -> None:
    order = [RefundStatus.REQUESTED, RefundStatus.SUCCEEDED, RefundStatus.FAILED]
    refund = Refund(status=before, gateway_reference=None)
    update_refund_status(refund, reported, reference="re_1")
    assert refund.status == order[max(order.index(before), order.index(reported))]
    update_refund_status(refund, reported, reference="re_2")
    assert refund.gateway_reference == "re_1"
    update_refund_status(refund, reported)
    assert refund.gateway_reference == "re_1"


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
def test_payment_time_is_the_latest_reported_in_either_order(ledger: Ledger, *, later_first: bool) -> None:
    pledge = ledger.create_pledge(Frequency.MONTHLY)
    first = ledger.payment_succeeded(pledge)
    failed = ledger.payment_failed(pledge, occurred_at=first.occurred_at + datetime.timedelta(seconds=1))
    second = dataclasses.replace(first, occurred_at=first.occurred_at + datetime.timedelta(seconds=2))
    ledger.apply(*((second, failed, first) if later_first else (first, failed, second)))
    assert ledger.get_payment().paid_at == second.occurred_at
    # Two reports of one payment count once, and the later one settles the failed payment before it.
    assert ledger.totals() == [total(1, 500)]
    assert ledger.get_pledge(pledge).status == PledgeStatus.ACTIVE


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


def test_refunds_never_exceed_the_payment(ledger: Ledger) -> None:
    pledge = ledger.create_pledge()
    ledger.apply(ledger.payment_succeeded(pledge), ledger.refund_updated("re_failed", 300, failed=True))
    # A failed refund leaves its amount refundable.
    ledger.apply(ledger.refund_updated("re_1", 300), ledger.refund_updated("re_2", 200))
    with pytest.raises(PaymentMismatch, match="More went back"):
        ledger.apply(ledger.refund_updated("re_3", 1))
    assert ledger.totals() == [total(0, 500, refunded=500)]
    assert ledger.get_payment().status == PaymentStatus.REFUNDED


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
