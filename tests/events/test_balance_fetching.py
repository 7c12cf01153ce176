"""The job that books balance transactions: every movement of the balance by our payments, listed by page."""

import datetime
import threading
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import delete, select, update

from jobs.payments import fetch_balance_transactions, reconcile_payments
from schemas.enums import Frequency
from service.bootstrap import build_container
from service.db.models.payment import BalanceCursor, BalanceTransaction, Payment
from service.domain.ledger import totals
from service.domain.payments import balance_listing
from service.domain.supporters import erase_supporter
from service.gateways.stripe import balance
from tests.conftest import settings_for
from tests.events.stripe_fixture import StripeScenario
from tests.jobs.fake_mailer import stopped_event
from tests.stripe_double import FakeStripe, checkout
from tests.stripe_double.account import StripeJson
from tests.stripe_double.customer_actions import CUSTOMER_EMAIL
from tests.stripe_double.scenarios import one_year_subscription, payment_session_params

RUNNING = threading.Event()
LIST = "GET /v1/balance_transactions"


class Booking:
    """Gives money, lets the job book it, and compares with Stripe's balance."""

    def __init__(self, scenario: StripeScenario) -> None:
        self.scenario, self.stripe, self.container = scenario, scenario.stripe, scenario.container

    def pay(
        self, frequency: Frequency = Frequency.ONCE, amount: int = 1000, *, deliver: bool = True
    ) -> StripeJson:
        """Pay an amount and process its events; return the charge."""
        session = self.scenario.session_of(self.scenario.create_checkout(frequency, amount=amount))
        charge = self.stripe.pay(session)
        if deliver:
            self.deliver()
        return charge

    def deliver(self) -> None:
        """Deliver all events of Stripe so far, and process them."""
        self.scenario.deliver_webhooks(*self.stripe.events)
        self.scenario.run_until_idle()

    def pay_in_a_shop(self, amount: int = 3000) -> StripeJson:
        """Pay another product on the same account; return the charge."""
        account = self.stripe.account
        with account.lock:
            session = checkout.open_session(account, payment_session_params(amount, pledge="an order"))
        return self.stripe.pay(session["id"], email="shopper@shop.example")

    def fetch(self) -> int:
        counts = fetch_balance_transactions(self.container, RUNNING)
        assert counts is not None
        return counts["fetched"]

    def rows(self) -> list[BalanceTransaction]:
        with self.container.database.read_only() as session:
            query = select(BalanceTransaction).order_by(BalanceTransaction.occurred_at, BalanceTransaction.id)
            return list(session.scalars(query))

    def total(self) -> tuple[int, int, int]:
        """Return gross, fees and net of all rows, which are in one currency."""
        with self.container.database.read_only() as session:
            [total] = totals.balance_totals(session)
        return total.gross, total.fees, total.net

    def stripe_net(self, *foreign_charges: StripeJson) -> int:
        """Return the sum of Stripe's own balance transactions, without those of other products' charges."""
        foreign = {charge["id"] for charge in foreign_charges}
        found = 0
        for transaction in self.stripe.account.all("balance_transaction"):
            source = self.stripe.get(transaction["source"])
            if source.get("charge", source["id"]) not in foreign:
                found += transaction["net"]
        return found

    def calls(self, name: str | None = None) -> int:
        """Return the number of calls to Stripe, of one name or of all."""
        calls = self.stripe.faults.calls
        return sum(calls.values()) if name is None else calls[name]


@pytest.fixture
def booking(scenario: StripeScenario) -> Booking:
    return Booking(scenario)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balance, "PAGE_SIZE", 2)


def test_refund_and_lost_dispute_with_its_fee_lower_the_net(booking: Booking, stripe: FakeStripe) -> None:
    stripe.refund(booking.pay()["id"])
    dispute = stripe.open_dispute(booking.pay()["id"])
    stripe.close_dispute(dispute["id"], "lost")
    booking.deliver()
    # The events of the dispute brought its own transaction.
    assert (booking.fetch(), len(booking.rows())) == (3, 4)
    # Two gifts of 10.00 less 0.59 each; one went back, the other was lost with a fee of 15.00.
    assert booking.total() == (0, 2 * 59 + 1500, -2 * 59 - 1500)
    assert booking.total()[2] == booking.stripe_net() == 2 * 941 - 3500


@pytest.mark.parametrize("frequency", [Frequency.ONCE, Frequency.MONTHLY])
def test_every_movement_is_booked_with_its_type_time_and_origin(
    booking: Booking, stripe: FakeStripe, frequency: Frequency
) -> None:
    charge = booking.pay(frequency)
    paid_at = booking.container.clock()
    refunded_at = booking.container.clock.advance(days=1)
    refund = stripe.refund(charge["id"], 300)
    stripe.fail_refund(refund["id"])
    booking.container.clock.advance(days=1)
    dispute = stripe.open_dispute(charge["id"], 400)
    stripe.close_dispute(dispute["id"], "won")
    booking.deliver()
    assert (booking.fetch(), len(booking.rows())) == (3, 5)
    charge_id, refund_id, dispute_id = charge["id"], refund["id"], dispute["id"]
    found = [
        (row.kind, row.net_minor, row.charge_reference, row.refund_reference, row.dispute_reference)
        for row in booking.rows()
    ]
    assert sorted(found, key=str) == sorted(
        [
            ("charge", 941, charge_id, None, None),
            ("refund", -300, charge_id, refund_id, None),
            ("refund_failure", 300, charge_id, refund_id, None),
            ("adjustment", -1900, charge_id, None, dispute_id),
            ("adjustment", 1900, charge_id, None, dispute_id),
        ],
        key=str,
    )
    assert [row.occurred_at for row in booking.rows()][:2] == [paid_at, refunded_at]
    assert booking.total()[2] == booking.stripe_net()


def test_repeated_listing_books_nothing_again(booking: Booking, stripe: FakeStripe) -> None:
    stripe.refund(booking.pay()["id"], 300)
    booking.deliver()
    assert [booking.fetch(), booking.fetch(), booking.fetch()] == [2, 0, 0]
    assert booking.total()[2] == booking.stripe_net() == 641


def test_bank_debit_is_booked_as_a_payment(booking: Booking, stripe: FakeStripe) -> None:
    session = booking.scenario.session_of(booking.scenario.create_checkout(Frequency.ONCE, amount=1000))
    stripe.pay_by_bank_debit(session)
    charge = stripe.settle_bank_debit(session)
    stripe.refund(charge["id"], 400)
    booking.deliver()
    assert booking.fetch() == 2
    assert {row.kind for row in booking.rows()} == {"payment", "payment_refund"}
    assert booking.total()[2] == booking.stripe_net()


def test_a_year_of_renewals_equals_the_balance_of_stripe(
    booking: Booking, stripe: FakeStripe, small_pages: None
) -> None:
    session = booking.scenario.session_of(booking.scenario.create_checkout(Frequency.MONTHLY, amount=500))
    one_year_subscription(stripe, session=session, dispute="lost")
    booking.deliver()
    # Twelve charges, a refund, and a dispute with its fee. The fifth charge paid an invoice three days old.
    assert (booking.fetch(), len(booking.rows())) == (13, 14)
    assert booking.total()[2] == booking.stripe_net() == 12 * 455 - 200 - 500 - 1500


def test_balance_transactions_are_listed_by_page_and_not_looked_up_one_by_one(
    booking: Booking, stripe: FakeStripe
) -> None:
    for number in range(30):
        booking.pay(Frequency.MONTHLY if number % 2 else Frequency.ONCE, deliver=False)
    booking.deliver()
    before = booking.calls()
    assert booking.fetch() == 30
    # One page of balance transactions, and one of the payments of invoices.
    assert booking.calls() - before == 2
    before = booking.calls()
    assert booking.fetch() == 0
    assert booking.calls() - before == 1


def test_other_products_on_the_account_cost_no_calls_and_leave_no_rows(
    booking: Booking, stripe: FakeStripe
) -> None:
    ours = booking.pay(Frequency.MONTHLY)
    shop = [booking.pay_in_a_shop() for _ in range(20)]
    stripe.refund(shop[0]["id"], 100)
    stripe.open_dispute(shop[1]["id"])
    before = booking.calls()
    assert booking.fetch() == 1
    assert booking.calls(LIST) == 1
    # The invoice of our own charge is looked up.
    assert booking.calls() - before == 2
    assert booking.total()[2] == booking.stripe_net(*shop) == 941
    assert [row.charge_reference for row in booking.rows()] == [ours["id"]]


def test_listing_of_invoice_payments_that_is_refused_is_replaced_by_look_ups(
    booking: Booking, stripe: FakeStripe
) -> None:
    for _ in range(3):
        booking.pay(Frequency.MONTHLY)
    stripe.faults.respond(400, "GET /v1/invoice_payments")
    assert booking.fetch() == 3


def test_late_balance_transaction_is_found_hours_later(booking: Booking, stripe: FakeStripe) -> None:
    stripe.settings.async_capture = True
    booking.pay()
    assert booking.fetch() == 0
    booking.container.clock.advance(hours=5)
    assert booking.fetch() == 0
    stripe.settle_balances()
    assert booking.fetch() == 1
    assert booking.total() == (1000, 59, 941)


@pytest.mark.parametrize("frequency", [Frequency.ONCE, Frequency.MONTHLY])
@pytest.mark.parametrize("days", [1, 25])
def test_transactions_of_a_payment_whose_event_is_late_are_booked_later(
    booking: Booking, stripe: FakeStripe, frequency: Frequency, days: int
) -> None:
    booking.pay(Frequency.ONCE)
    late = booking.pay(frequency, deliver=False)
    stripe.refund(late["id"], 100)
    assert booking.fetch() == 1
    booking.container.clock.advance(days=days)
    assert booking.fetch() == 0
    booking.deliver()
    assert booking.fetch() == 2
    assert booking.total()[2] == booking.stripe_net() == 941 + 841
    assert booking.fetch() == 0


def test_first_listing_starts_at_the_first_payment(booking: Booking, stripe: FakeStripe) -> None:
    first = booking.pay(Frequency.MONTHLY)
    booking.container.clock.advance(days=400)
    stripe.refund(first["id"], 200)
    booking.pay()
    stripe.refund(booking.pay(Frequency.MONTHLY)["id"], 300)
    booking.deliver()
    assert booking.fetch() == 5
    assert booking.total()[2] == booking.stripe_net()


def test_rows_of_the_release_before_are_completed(booking: Booking, stripe: FakeStripe) -> None:
    charge = booking.pay(Frequency.MONTHLY)
    assert booking.fetch() == 1
    with booking.container.database.transaction() as session:
        session.execute(update(BalanceTransaction).values(charge_reference=None))
        session.execute(delete(BalanceCursor))
    stripe.refund(charge["id"], 200)
    assert booking.fetch() == 1
    assert [(row.kind, row.charge_reference) for row in booking.rows()] == [
        ("charge", charge["id"]),
        ("refund", charge["id"]),
    ]


def test_outage_between_pages_loses_nothing(booking: Booking, stripe: FakeStripe, small_pages: None) -> None:
    for _ in range(3):
        stripe.refund(booking.pay()["id"], 100)
    stripe.faults.respond(503, LIST, skip=1, times=2)
    assert booking.fetch() == 0
    assert len(booking.rows()) == 2
    assert booking.fetch() == 4
    assert booking.total()[2] == booking.stripe_net() == 3 * 841


def test_crash_between_pages_loses_nothing(
    booking: Booking, stripe: FakeStripe, small_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        stripe.refund(booking.pay(Frequency.MONTHLY)["id"], 100)
    pages = balance.list_balance_transactions

    def crash_after_one(*args: object) -> Iterator[object]:
        yield next(iter(pages(*args)))
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(balance, "list_balance_transactions", crash_after_one)
        with pytest.raises(SystemExit):
            booking.fetch()
    assert 0 < len(booking.rows()) < 6
    booking.container.clock.advance(days=3)
    booking.fetch()
    assert booking.total()[2] == booking.stripe_net() == 3 * 841


def test_refund_on_a_page_before_that_of_its_charge_is_booked_in_the_same_run(
    booking: Booking, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance, "PAGE_SIZE", 1)
    # A refund names neither the invoice nor anything else that is recorded of a recurring payment.
    stripe.refund(booking.pay(Frequency.MONTHLY)["id"], 100)
    assert booking.fetch() == 2
    assert booking.total()[2] == booking.stripe_net() == 841


def test_transaction_that_stripe_lists_minutes_late_is_booked(booking: Booking, stripe: FakeStripe) -> None:
    charge, clock = booking.pay(), booking.container.clock
    clock.advance(minutes=10)
    assert booking.fetch() == 1
    clock.advance(minutes=-9)
    stripe.refund(charge["id"], 100)
    clock.advance(minutes=10)
    assert booking.fetch() == 1
    assert booking.total()[2] == booking.stripe_net() == 841


def test_progress_survives_an_outage_between_days(booking: Booking, stripe: FakeStripe) -> None:
    booking.pay()
    booking.container.clock.advance(days=10)
    booking.pay()
    stripe.faults.respond(503, LIST, skip=5, times=2)
    assert booking.fetch() == 0
    before = booking.calls(LIST)
    assert booking.fetch() == 1
    assert booking.calls(LIST) - before <= 6
    assert booking.total()[2] == booking.stripe_net()


def test_balance_transactions_are_stored_in_the_payout_currency(booking: Booking, stripe: FakeStripe) -> None:
    stripe.settings.payout_currencies["usd"] = ("eur", 0.9)
    booking.pay()
    assert booking.fetch() == 1
    [row] = booking.rows()
    assert (row.gross_minor, row.fee_minor, row.net_minor, row.currency) == (900, 53, 847, "EUR")


def test_reconciliation_books_what_no_webhook_reported(booking: Booking, stripe: FakeStripe) -> None:
    booking.pay()
    booking.fetch()
    charge = booking.pay(Frequency.MONTHLY, deliver=False)
    stripe.refund(charge["id"], 100)
    dispute = stripe.open_dispute(booking.pay(deliver=False)["id"])
    stripe.close_dispute(dispute["id"], "lost")
    booking.container.clock.advance(days=2)
    assert reconcile_payments(booking.container, RUNNING) is not None
    assert len(booking.rows()) == 5
    assert booking.total()[2] == booking.stripe_net()


def test_summary_and_payments_show_the_movements(booking: Booking, stripe: FakeStripe) -> None:
    charge = booking.pay()
    booking.container.clock.advance(minutes=1)
    refund = stripe.refund(charge["id"], 300)
    booking.deliver()
    booking.fetch()
    with booking.container.database.read_only() as session:
        [payment_id] = {row.payment_id for row in booking.rows()}
        pledge_id = session.scalars(select(totals.Payment.pledge_id)).one()
        [payment] = totals.list_payments(session, pledge_id)
    assert payment["id"] == payment_id
    assert [(row.kind, row.refund_reference) for row in payment["balances"]] == [
        ("charge", None),
        ("refund", refund["id"]),
    ]


def test_stopped_worker_books_nothing_and_does_not_advance(booking: Booking) -> None:
    booking.pay()
    assert fetch_balance_transactions(booking.container, stopped_event()) == {"fetched": 0}
    with booking.container.database.read_only() as session:
        assert session.scalars(select(BalanceCursor)).all() == []
    assert booking.fetch() == 1


def test_cursor_never_moves_back(booking: Booking) -> None:
    booking.pay()
    booking.fetch()
    now = booking.container.clock()
    with booking.container.database.transaction() as session:
        balance_listing.advance_cursor(session, "stripe", now - datetime.timedelta(days=1), uuid.uuid4())
    with booking.container.database.read_only() as session:
        assert session.scalars(select(BalanceCursor.listed_until)).one() == now


def test_job_does_nothing_without_payments_or_without_stripe(booking: Booking, migrated_database: str) -> None:
    before = booking.calls()
    assert booking.fetch() == 0
    assert booking.calls() == before
    sandbox = build_container(settings_for(migrated_database))
    assert fetch_balance_transactions(sandbox, RUNNING) is None
    sandbox.database.engine.dispose()


@pytest.mark.parametrize("frequency", [Frequency.ONCE, Frequency.MONTHLY])
def test_listing_tells_how_payments_were_made_without_calls_of_its_own(
    booking: Booking, frequency: Frequency
) -> None:
    booking.pay(frequency)
    booking.fetch()
    calls = booking.calls()
    with booking.container.database.read_only() as session:
        payment = session.scalars(select(Payment)).one()
    assert (payment.method_kind, payment.method_brand, payment.method_last4) == ("card", "visa", "4242")
    booking.fetch()
    assert booking.calls() == calls + 1


def test_erasure_removes_the_digits_and_no_listing_brings_them_back(booking: Booking) -> None:
    booking.pay()
    booking.fetch()
    booking.pay(amount=700)
    with booking.container.database.transaction() as session:
        erase_supporter(session, CUSTOMER_EMAIL, now=booking.container.clock())
    booking.fetch()
    with booking.container.database.read_only() as session:
        payments = session.scalars(select(Payment).order_by(Payment.id)).all()
    assert [(payment.method_kind, payment.method_last4) for payment in payments] == [("card", None), (None, None)]
