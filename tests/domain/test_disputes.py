"""Disputes in the ledger: the last report decides, and balance transactions tell what is withheld."""

import datetime
import itertools

import pytest

from schemas.enums import DisputeStatus, PaymentStatus
from service.domain.errors import PaymentMismatch
from service.domain.ledger.disputes import STATUS_PRECEDENCE, withheld_minor
from service.domain.money import Money
from service.domain.ports import GatewayBalanceTransaction
from service.domain.ports.payment_events import DisputeUpdated
from tests.domain.ledger import Ledger

SECOND = datetime.timedelta(seconds=1)
INQUIRY, CLOSED, OPEN, PREVENTED, WON, LOST = STATUS_PRECEDENCE


def reports(ledger: Ledger, *states: tuple[DisputeStatus, int], tied: bool = False) -> list[DisputeUpdated]:
    """Return reports of one dispute, a second apart unless they are tied: each with its status and amount."""
    now = ledger.container.clock()
    return [
        ledger.dispute_updated(
            status, money=Money(amount, "USD"), occurred_at=now + (0 if tied else number) * SECOND
        )
        for number, (status, amount) in enumerate(states)
    ]


def movement(reference: str, gross: int, *, fee: int = 0, dispute: str = "dp_1") -> GatewayBalanceTransaction:
    return GatewayBalanceTransaction(
        reference=reference,
        kind="adjustment",
        occurred_at=datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC),
        gross_minor=gross,
        fee_minor=fee,
        net_minor=gross - fee,
        currency="USD",
        dispute=dispute,
    )


@pytest.mark.parametrize(
    ("states", "status", "withheld", "payment_status"),
    [
        ([(INQUIRY, 500)], INQUIRY, 0, PaymentStatus.SUCCEEDED),
        ([(INQUIRY, 500), (CLOSED, 500)], CLOSED, 0, PaymentStatus.SUCCEEDED),
        ([(INQUIRY, 500), (OPEN, 500), (LOST, 500)], LOST, 500, PaymentStatus.DISPUTED),
        ([(OPEN, 500), (WON, 500), (LOST, 500)], LOST, 500, PaymentStatus.DISPUTED),
        ([(OPEN, 500), (LOST, 500), (WON, 500)], WON, 0, PaymentStatus.SUCCEEDED),
        ([(OPEN, 500), (LOST, 200)], LOST, 200, PaymentStatus.PARTIALLY_REFUNDED),
        ([(OPEN, 200), (LOST, 200)], LOST, 200, PaymentStatus.PARTIALLY_REFUNDED),
        ([(OPEN, 200)], OPEN, 200, PaymentStatus.DISPUTED),
        ([(INQUIRY, 500), (PREVENTED, 500)], PREVENTED, 0, PaymentStatus.SUCCEEDED),
    ],
)
def test_last_report_decides_in_any_order_and_repetition(
    ledger: Ledger,
    states: list[tuple[DisputeStatus, int]],
    status: DisputeStatus,
    withheld: int,
    payment_status: PaymentStatus,
) -> None:
    for number, order in enumerate(itertools.permutations(range(len(states)))):
        pledge = ledger.create_pledge()
        payment, dispute = f"pay_{number}", f"dp_{number}"
        ledger.apply(ledger.payment_succeeded(pledge, payment))
        now = ledger.container.clock()
        for index in [*order, *order[:1]]:
            found, amount = states[index]
            ledger.apply(
                ledger.dispute_updated(
                    found,
                    payment,
                    dispute=dispute,
                    money=Money(amount, "USD"),
                    occurred_at=now + index * SECOND,
                )
            )
        row = ledger.get_dispute(dispute)
        assert (row.status, row.withheld_minor) == (status, withheld)
        assert (row.opened_at, row.status_at) == (now, now + (len(states) - 1) * SECOND)
        assert ledger.get_payment(payment).status == payment_status
        assert ledger.totals_by_pledge(pledge)[pledge].paid_minor == 500 - withheld


@pytest.mark.parametrize("pair", list(itertools.combinations(STATUS_PRECEDENCE, 2)))
@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_reports_of_one_second_the_one_further_on_counts(
    ledger: Ledger, pair: tuple[DisputeStatus, DisputeStatus], *, reverse: bool
) -> None:
    ledger.apply(ledger.payment_succeeded(ledger.create_pledge()))
    found = reports(ledger, *((status, 500) for status in pair), tied=True)
    ledger.apply(*(reversed(found) if reverse else found))
    assert ledger.get_dispute().status == pair[1]


def test_balance_transactions_replace_what_the_status_says(ledger: Ledger) -> None:
    ledger.apply(ledger.payment_succeeded(ledger.create_pledge(), amount=1000))
    opened, lost = reports(ledger, (OPEN, 1000), (LOST, 1000))
    ledger.apply(opened)
    assert ledger.get_dispute().withheld_minor == 1000
    withdrawn, returned = movement("txn_1", -1000, fee=1500), movement("txn_2", 400)
    ledger.apply(ledger.dispute_updated(OPEN, balance_transactions=(withdrawn,), money=Money(1000, "USD")))
    assert ledger.get_dispute().withheld_minor == 1000
    ledger.apply(
        ledger.dispute_updated(
            LOST,
            balance_transactions=(withdrawn, returned),
            money=Money(1000, "USD"),
            occurred_at=lost.occurred_at,
        )
    )
    assert ledger.get_dispute().withheld_minor == 600
    assert ledger.get_payment().status == PaymentStatus.PARTIALLY_REFUNDED
    [total] = ledger.totals()
    assert (total.payments, total.received, total.disputed, total.net) == (1, 1000, 600, 400)


def test_refund_after_a_partial_loss_is_limited_to_the_rest(ledger: Ledger) -> None:
    ledger.apply(ledger.payment_succeeded(ledger.create_pledge(), amount=1000))
    ledger.apply(*reports(ledger, (OPEN, 400), (LOST, 400)))
    ledger.apply(ledger.refund_updated(amount=600))
    assert ledger.get_payment().status == PaymentStatus.DISPUTED
    assert ledger.totals()[0].net == 0


def test_won_dispute_withholds_until_the_money_is_back(ledger: Ledger) -> None:
    ledger.apply(ledger.payment_succeeded(ledger.create_pledge()))
    withdrawn, returned = movement("txn_1", -500, fee=1500), movement("txn_2", 500, fee=-1500)
    ledger.apply(ledger.dispute_updated(WON, balance_transactions=(withdrawn,)))
    assert ledger.get_payment().status == PaymentStatus.DISPUTED
    ledger.apply(ledger.dispute_updated(WON, balance_transactions=(withdrawn, returned)))
    assert ledger.get_payment().status == PaymentStatus.SUCCEEDED


def test_two_disputes_of_one_payment_withhold_both(ledger: Ledger) -> None:
    pledge = ledger.create_pledge()
    ledger.apply(ledger.payment_succeeded(pledge))
    for dispute in ("dp_1", "dp_2"):
        ledger.apply(ledger.dispute_updated(LOST, dispute=dispute, money=Money(200, "USD")))
    assert ledger.totals_by_pledge(pledge)[pledge].paid_minor == 100
    assert ledger.get_payment().status == PaymentStatus.PARTIALLY_REFUNDED


def test_dispute_in_another_currency_is_refused(ledger: Ledger) -> None:
    ledger.apply(ledger.payment_succeeded(ledger.create_pledge()))
    with pytest.raises(PaymentMismatch, match="is in USD"):
        ledger.apply(ledger.dispute_updated(money=Money(500, "EUR")))


@pytest.mark.parametrize(
    ("status", "amount", "movements", "expected"),
    [
        (OPEN, 500, [], 500),
        (LOST, 500, [], 500),
        (WON, 500, [], 0),
        (INQUIRY, 500, [], 0),
        (OPEN, 500, [(-500, "USD")], 500),
        (WON, 500, [(-500, "USD"), (500, "USD")], 0),
        (LOST, 500, [(-500, "USD"), (500, "USD"), (-500, "USD")], 500),
        (LOST, 300, [(-500, "USD"), (200, "USD")], 300),
        (WON, 500, [(-500, "USD"), (600, "USD")], 0),
        (LOST, 1000, [(-900, "EUR")], 1000),
        (WON, 1000, [(-900, "EUR"), (880, "EUR")], 0),
        (LOST, 1000, [(-900, "EUR"), (450, "EUR")], 500),
        (OPEN, 1000, [(0, "EUR")], 0),
    ],
)
def test_what_a_dispute_withholds(
    status: DisputeStatus, amount: int, movements: list[tuple[int, str]], expected: int
) -> None:
    assert withheld_minor(status, amount, "USD", movements) == expected
