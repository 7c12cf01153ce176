"""What refunds, disputes and repeated reports do to the books, in whatever order they are told."""

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
    ("status", "held", "payment"),
    [
        (OPEN, 500, PaymentStatus.DISPUTED),
        (LOST, 500, PaymentStatus.DISPUTED),
        (WON, 0, PaymentStatus.SUCCEEDED),
    ],
)
def test_money_that_a_bank_holds_or_took_is_not_counted_as_left(
    ledger: Ledger, status: DisputeStatus, held: int, payment: PaymentStatus
) -> None:
    pledge = ledger.pledge()
    ledger.tell(ledger.paid(pledge), ledger.disputed(status))
    kept = 0 if held else 1
    assert ledger.totals() == [total(kept, 500, disputed=held)]
    assert ledger.totals()[0].net == 500 - held
    row = ledger.sums()[pledge]
    assert (row.payments, row.paid_minor) == (kept, 500 - held)
    assert ledger.payment().status == payment


def test_totals_leave_out_failed_payments_and_refunds_that_did_not_succeed(
    ledger: Ledger, container: Container
) -> None:
    pledge = ledger.pledge(Frequency.MONTHLY)
    ledger.tell(
        ledger.paid(pledge),
        ledger.not_paid(pledge),
        ledger.refunded("re_failed", 100, failed=True),
        ledger.refunded("re_done", 200),
        ledger.refunded("re_asked", 50),
    )
    with container.database.transaction() as session:
        asked = update(Refund).where(Refund.gateway_reference == "re_asked")
        session.execute(asked.values(status=RefundStatus.REQUESTED))
    assert ledger.totals() == [total(1, 500, refunded=200)]
    for sums in (ledger.sums(), ledger.sums(pledge)):
        assert (sums[pledge].payments, sums[pledge].paid_minor) == (1, 300)


def test_sums_of_some_pledges_leave_out_all_others(ledger: Ledger) -> None:
    first, second = ledger.pledge(), ledger.pledge()
    ledger.tell(ledger.paid(first, "pay_1"), ledger.paid(second, "pay_2", 900))
    ledger.tell(ledger.refunded("re_2", 300, payment="pay_2"))
    assert {pledge: row.paid_minor for pledge, row in ledger.sums().items()} == {first: 500, second: 600}
    assert {pledge: row.paid_minor for pledge, row in ledger.sums(second).items()} == {second: 600}


@pytest.mark.parametrize("order", sorted(set(itertools.permutations([False, True, False, True]))))
def test_refund_status_never_moves_backwards(ledger: Ledger, order: tuple[bool, ...]) -> None:
    pledge = ledger.pledge()
    ledger.tell(ledger.paid(pledge), *(ledger.refunded(failed=failed) for failed in order))
    assert ledger.refund().status == RefundStatus.FAILED
    assert ledger.payment().status == PaymentStatus.SUCCEEDED
    assert ledger.totals() == [total(1, 500)]
    assert ledger.read_pledge(pledge).status == PledgeStatus.COMPLETED


@pytest.mark.parametrize(("before", "said"), list(itertools.product(RefundStatus, RefundStatus)))
def test_a_later_word_on_a_refund_stays_and_so_does_its_first_reference(
    before: RefundStatus, said: RefundStatus
) -> None:
    order = [RefundStatus.REQUESTED, RefundStatus.SUCCEEDED, RefundStatus.FAILED]
    refund = Refund(status=before, gateway_reference=None)
    update_refund_status(refund, said, reference="re_1")
    assert refund.status == order[max(order.index(before), order.index(said))]
    update_refund_status(refund, said, reference="re_2")
    assert refund.gateway_reference == "re_1"
    update_refund_status(refund, said)
    assert refund.gateway_reference == "re_1"


@pytest.mark.parametrize(
    ("told", "stands"),
    [
        (order, WON if WON in order else LOST)
        for words in ((OPEN, LOST), (OPEN, WON), (OPEN, LOST, WON))
        for order in itertools.permutations(words)
    ],
)
def test_dispute_status_never_moves_backwards_and_it_was_opened_when_first_told(
    ledger: Ledger, told: tuple[DisputeStatus, ...], stands: DisputeStatus
) -> None:
    pledge = ledger.pledge()
    ledger.tell(ledger.paid(pledge))
    happened = {word: ledger.container.clock() + number * DAY for number, word in enumerate((OPEN, LOST, WON))}
    ledger.tell(*(ledger.disputed(word, occurred_at=happened[word]) for word in told))
    assert ledger.dispute().status == stands
    assert ledger.dispute().opened_at == happened[OPEN]
    assert (ledger.payment().status == PaymentStatus.SUCCEEDED) == (stands == WON)


@pytest.mark.parametrize("later_first", [False, True])
def test_payment_time_is_the_latest_reported_in_either_order(ledger: Ledger, *, later_first: bool) -> None:
    pledge = ledger.pledge(Frequency.MONTHLY)
    first = ledger.paid(pledge)
    tried = ledger.not_paid(pledge, occurred_at=first.occurred_at + datetime.timedelta(seconds=1))
    second = dataclasses.replace(first, occurred_at=first.occurred_at + datetime.timedelta(seconds=2))
    ledger.tell(*((second, tried, first) if later_first else (first, tried, second)))
    assert ledger.payment().paid_at == second.occurred_at
    # Two reports of one payment are one payment, and what came after the failed try is not owed any more.
    assert ledger.totals() == [total(1, 500)]
    assert ledger.read_pledge(pledge).status == PledgeStatus.ACTIVE


def test_of_many_payments_and_failed_tries_the_latest_decides_what_is_owed(ledger: Ledger) -> None:
    pledge, clock = ledger.pledge(Frequency.MONTHLY), ledger.container.clock
    for number in range(3):
        ledger.tell(ledger.paid(pledge, f"pay_{number}"))
        assert ledger.read_pledge(pledge).status == PledgeStatus.ACTIVE
        clock.advance(days=1)
        ledger.tell(ledger.not_paid(pledge, f"try_{number}"))
        assert ledger.read_pledge(pledge).status == PledgeStatus.PAST_DUE
        clock.advance(days=30)


def test_last_payment_is_the_latest_that_was_kept(ledger: Ledger) -> None:
    pledge, clock = ledger.pledge(Frequency.MONTHLY), ledger.container.clock
    ledger.tell(ledger.paid(pledge, "pay_oldest"))
    kept_at = clock.advance(days=30)
    ledger.tell(ledger.paid(pledge, "pay_kept"), ledger.refunded("re_part", 200, payment="pay_kept"))
    clock.advance(days=30)
    ledger.tell(ledger.paid(pledge, "pay_back"), ledger.refunded(payment="pay_back"))
    clock.advance(days=30)
    ledger.tell(ledger.paid(pledge, "pay_denied"), ledger.disputed(payment="pay_denied"))
    clock.advance(days=30)
    ledger.tell(ledger.not_paid(pledge))
    row = ledger.sums(pledge)[pledge]
    assert (row.last_payment_at, row.payments, row.paid_minor) == (kept_at, 2, 800)


def test_a_pledge_of_which_all_went_back_has_no_last_payment(ledger: Ledger) -> None:
    pledge = ledger.pledge()
    ledger.tell(ledger.paid(pledge), ledger.refunded())
    row = ledger.sums()[pledge]
    assert (row.last_payment_at, row.payments, row.paid_minor) == (None, 0, 0)


def test_what_goes_back_is_never_more_than_was_paid(ledger: Ledger) -> None:
    pledge = ledger.pledge()
    ledger.tell(ledger.paid(pledge), ledger.refunded("re_failed", 300, failed=True))
    # What did not arrive is still there to go back.
    ledger.tell(ledger.refunded("re_1", 300), ledger.refunded("re_2", 200))
    with pytest.raises(PaymentMismatch, match="More went back"):
        ledger.tell(ledger.refunded("re_3", 1))
    assert ledger.totals() == [total(0, 500, refunded=500)]
    assert ledger.payment().status == PaymentStatus.REFUNDED


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"payment": "pay_2"}, "another payment"),
        ({"amount": 400}, "another amount"),
        ({"refund": "re_2", "money": Money(100, "EUR")}, "is in USD"),
    ],
)
def test_a_refund_that_contradicts_the_books_is_refused(ledger: Ledger, change: dict, says: str) -> None:
    ledger.tell(ledger.paid(ledger.pledge(), "pay_1"), ledger.paid(ledger.pledge(), "pay_2"), ledger.refunded())
    with pytest.raises(PaymentMismatch, match=says):
        ledger.tell(ledger.refunded(**change))
    assert ledger.totals() == [total(1, 1000, refunded=500)]


def test_a_dispute_of_another_payment_under_the_same_name_is_refused(ledger: Ledger) -> None:
    ledger.tell(ledger.paid(ledger.pledge(), "pay_1"), ledger.paid(ledger.pledge(), "pay_2"), ledger.disputed())
    with pytest.raises(PaymentMismatch, match="another payment"):
        ledger.tell(ledger.disputed(WON, payment="pay_2"))
    assert ledger.dispute().status == OPEN


@pytest.mark.parametrize(
    ("change", "says"),
    [({"amount": 600}, "another amount"), ({"money": Money(500, "EUR")}, "is in USD")],
)
def test_a_payment_that_contradicts_the_books_is_refused(ledger: Ledger, change: dict, says: str) -> None:
    pledge = ledger.pledge(Frequency.MONTHLY)
    ledger.tell(ledger.paid(pledge))
    with pytest.raises(PaymentMismatch, match=says):
        ledger.tell(ledger.paid(pledge, **change))
    with pytest.raises(PaymentMismatch, match="both as made and as failed"):
        ledger.tell(ledger.not_paid(pledge, "pay_1"))
    assert ledger.totals() == [total(1, 500)]


def test_a_failed_try_or_another_gateway_s_payment_is_not_what_went_back(
    ledger: Ledger, container: Container
) -> None:
    ledger.tell(ledger.not_paid(ledger.pledge(), "try_1"))
    with pytest.raises(DependencyMissing):
        ledger.tell(ledger.refunded(payment="try_1"))
    ledger.tell(ledger.paid(ledger.pledge()))
    with container.database.transaction() as session:
        session.execute(update(Payment).values(gateway="another"))
    for news in (ledger.refunded(), ledger.disputed()):
        with pytest.raises(DependencyMissing):
            ledger.tell(news)


def test_payments_are_listed_by_when_they_were_paid_with_what_became_of_each(
    ledger: Ledger, container: Container
) -> None:
    pledge = ledger.pledge(Frequency.MONTHLY)
    now = container.clock()
    ledger.tell(ledger.paid(pledge, "pay_late", occurred_at=now + DAY), ledger.paid(pledge, "pay_early", occurred_at=now))
    ledger.tell(ledger.refunded(payment="pay_late"), ledger.disputed(payment="pay_early"))
    ledger.tell(ledger.paid(ledger.pledge(), "pay_of_another"))
    with container.database.read_only() as session:
        listed = list_payments(session, pledge)
    assert [(one["gateway_reference"], len(one["refunds"]), len(one["disputes"])) for one in listed] == [
        ("pay_early", 0, 1),
        ("pay_late", 1, 0),
    ]


def test_a_refund_of_one_payment_leaves_the_status_of_another_alone(ledger: Ledger, container: Container) -> None:
    pledge = ledger.pledge(Frequency.MONTHLY)
    ledger.tell(ledger.paid(pledge, "pay_1"), ledger.paid(pledge, "pay_2"))
    ledger.tell(ledger.refunded("re_1", 100, payment="pay_1"), ledger.disputed(payment="pay_2"))
    ledger.tell(ledger.refunded("re_2", 100, payment="pay_1"))
    with container.database.read_only() as session:
        found = dict(session.execute(select(Payment.gateway_reference, Payment.status)).all())
    assert found == {"pay_1": PaymentStatus.PARTIALLY_REFUNDED, "pay_2": PaymentStatus.DISPUTED}
