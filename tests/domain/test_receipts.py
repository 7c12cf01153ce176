"""Every number on a receipt equals the ledger, whatever came back of the payment."""

import os
import re
import uuid
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select

from schemas.enums import DisputeStatus, Frequency, RefundStatus
from service.commands.campaign_files import load_campaign_file
from service.commands.demo_campaign import DEMO_CAMPAIGN
from service.container import Container
from service.db.models.campaign import Campaign
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.campaigns.definitions import get_campaign, parse_definition, upsert_campaign
from service.domain.errors import PaymentMismatch
from service.domain.ledger.totals import totals_by_currency, totals_by_payment_query
from service.domain.money import Money, exponent, format_exact_money
from service.domain.notifications.receipts import Receipt, load_receipt
from service.domain.payments.event_handlers import handle_event
from service.domain.pledges.pledges import CreatePledge, create_pledge
from service.domain.ports.payment_events import DisputeUpdated, PaymentSucceeded, RefundUpdated
from service.pages.receipts import sum_rows
from service.pages.translations import Texts
from tests.currencies import YEN
from tests.domain.ledger import GATEWAY

EXAMPLES = 200 if os.environ.get("FAULTS") == "full" else 10
OPTIONS = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
ENGLISH = Texts("en", {})
REFUND_STATUSES = [RefundStatus.SUCCEEDED, RefundStatus.PENDING, RefundStatus.FAILED]


@dataclass(frozen=True)
class History:
    """What happens to one payment: refunds as (amount, status), and disputes as (amount, statuses in order)."""

    currency: str
    amount: int
    fees: int
    refunds: tuple[tuple[int, RefundStatus], ...]
    disputes: tuple[tuple[int, tuple[DisputeStatus, ...]], ...]


@st.composite
def histories(draw: st.DrawFn) -> History:
    amount = draw(st.integers(300, 500_000))
    parts = st.one_of(st.integers(1, amount), st.just(amount))
    refunds = st.tuples(parts, st.sampled_from(REFUND_STATUSES))
    statuses = st.lists(st.sampled_from(list(DisputeStatus)), min_size=1, max_size=3).map(tuple)
    return History(
        currency=draw(st.sampled_from(["USD", "JPY"])),
        amount=amount,
        fees=draw(st.sampled_from([0, 0, 37])),
        refunds=tuple(draw(st.lists(refunds, max_size=3))),
        disputes=tuple(draw(st.lists(st.tuples(parts, statuses), max_size=2))),
    )


@pytest.fixture
def two_currencies(container: Container) -> Container:
    """Return the container with a campaign in dollars and yen."""
    file = load_campaign_file(DEMO_CAMPAIGN)
    with container.database.transaction() as session:
        upsert_campaign(
            session, parse_definition(file | {"other_currencies": [file | YEN]}), now=container.clock()
        )
    return container


def play(container: Container, history: History) -> uuid.UUID:
    """Let a history happen by events; return the id of its payment. What contradicts the ledger is refused."""
    key = str(uuid.uuid4())
    command = CreatePledge(
        campaign="default", frequency=Frequency.ONCE, amount=history.amount, currency=history.currency
    )
    with container.database.transaction() as session:
        pledge = create_pledge(
            session, get_campaign(session, "default"), command, gateway=GATEWAY, now=container.clock()
        )
        pledge.fees_minor = history.fees
        pledge_id = pledge.id
    paid = Money(history.amount + history.fees, history.currency)
    events = [
        PaymentSucceeded(reference=key, money=paid, occurred_at=container.clock(), pledge_id=pledge_id),
        *(
            RefundUpdated(
                references=(key,),
                refund=f"re_{number}_{key}",
                money=Money(amount, history.currency),
                occurred_at=container.clock.advance(hours=7),
                status=status,
            )
            for number, (amount, status) in enumerate(history.refunds)
        ),
        *(
            DisputeUpdated(
                references=(key,),
                dispute=f"dp_{number}_{key}",
                status=status,
                money=Money(amount, history.currency),
                occurred_at=container.clock.advance(hours=7),
            )
            for number, (amount, statuses) in enumerate(history.disputes)
            for status in statuses
        ),
    ]
    for event in events:
        try:
            with container.database.transaction() as session:
                handle_event(session, GATEWAY, event, now=container.clock())
        except PaymentMismatch:
            continue
    with container.database.read_only() as session:
        return session.scalars(select(Payment.id).where(Payment.gateway_reference == key)).one()


def minor_units(shown: str, currency: str) -> int:
    """Read an amount of a receipt as a person does: "-$1,234.50 USD" is -123450."""
    assert shown.endswith(f"\N{NO-BREAK SPACE}{currency}")
    match = re.fullmatch(r"(-?)\D?([\d,]+)(?:\.(\d+))?", shown.removesuffix(f"\N{NO-BREAK SPACE}{currency}"))
    assert match is not None, shown
    sign, whole, decimals = match.groups()
    assert len(decimals or "") == exponent(currency)
    return int(f"{sign}{whole.replace(',', '')}{decimals or ''}")


@given(parts=st.lists(histories(), min_size=1, max_size=3))
@hypothesis_settings(**OPTIONS, max_examples=EXAMPLES)
def test_every_number_on_receipts_equals_the_ledger(two_currencies: Container, parts: list[History]) -> None:
    payment_ids = [play(two_currencies, history) for history in parts]
    with two_currencies.database.read_only() as session:
        ledger = {row.pledge_id: row for row in session.execute(totals_by_payment_query())}
        sums: dict[str, list[int]] = {}
        payments = session.scalars(select(Payment)).all()
        assert {payment.id for payment in payments} >= set(payment_ids)
        for payment in payments:
            pledge = session.get_one(Pledge, payment.pledge_id)
            receipt, row = load_receipt(session, payment, pledge), ledger[payment.pledge_id]
            refunded = sum(fact.money.amount_minor for fact in receipt.refunds)
            withheld = sum(fact.withheld.amount_minor for fact in receipt.disputes)
            assert (receipt.paid.amount_minor, receipt.paid.currency) == (row.amount_minor, row.currency)
            assert (refunded, withheld) == (row.refunded_minor, row.disputed_minor)
            assert receipt.net == Money(int(row.net_minor), row.currency)
            check_shown_numbers(receipt, pledge.campaign)
            found = sums.setdefault(payment.currency, [0, 0, 0, 0])
            for index, part in enumerate((row.amount_minor, refunded, withheld, receipt.net.amount_minor)):
                found[index] += part
        totals = {
            total.currency: [total.received, total.refunded, total.disputed, total.net]
            for total in totals_by_currency(session)
        }
    assert sums == totals


def check_shown_numbers(receipt: Receipt, campaign: Campaign) -> None:
    """Check that the lines of a receipt, read as text, add up to its net amount."""
    currency, rows = receipt.paid.currency, sum_rows(receipt, campaign, ENGLISH)
    shown = [(minor_units(row.value, currency), row.is_sum) for row in rows]
    sums = [amount for amount, is_sum in shown if is_sum]
    parts = [amount for amount, is_sum in shown if not is_sum]
    before = 2 if receipt.fees is not None else 0
    assert sums[0] == receipt.paid.amount_minor
    assert sum(parts[:before]) in (0, sums[0])
    assert sums[-1] == sums[0] + sum(parts[before:]) == receipt.net.amount_minor


@pytest.mark.parametrize(
    ("money", "lang", "shown"),
    [
        (Money(200, "USD"), "en", "$2.00 USD"),
        (Money(-75, "USD"), "en", "-$0.75 USD"),
        (Money(500, "JPY"), "en", "¥500 JPY"),
        (Money(1500, "KWD"), "en", "KWD 1.500"),
        (Money(123456, "EUR"), "ru", "1 234,56 € EUR"),
        (Money(500, "CHF"), "en", "CHF 5.00"),
        (Money(500, "CAD"), "en", "CA$5.00"),
        (Money(500, "CAD"), "en-CA", "$5.00 CAD"),
        (Money(500, "PLN"), "pl", "5,00 zł PLN"),
    ],
)
def test_exact_amount_has_decimals_and_code(money: Money, lang: str, shown: str) -> None:
    assert " ".join(format_exact_money(money, lang).split()) == shown
