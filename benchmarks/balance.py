"""Books Stripe's balance transactions from the Stripe double, compared with plain rows inserted by page.

Half of the charges are renewals, whose invoices are found by page; one transaction in twenty is a refund.
"""

import time
import uuid
from typing import Any

import psycopg
from sqlalchemy import insert, select
from stripe import RequestsClient, StripeClient

from benchmarks.database import BenchmarkDatabase, container_for
from schemas.enums import Frequency, PaymentStatus, PledgeStatus
from service.container import Container
from service.db.base import new_id
from service.db.clock import utc_now
from service.db.models.campaign import Campaign
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.ledger.totals import balance_totals
from service.domain.payments.balance_listing import fetch_balance_transactions
from tests.clock import FakeClock
from tests.stripe_double import KEY, FakeStripe, billing_objects, charges, payment_objects, refunds
from tests.stripe_double.account import Account, StripeJson

AMOUNT = 500
CUSTOMER = "cus_Benchmark"
REFUND_EVERY = 20
SECONDS_APART = 5


def run(databases: BenchmarkDatabase, *, transactions: int) -> tuple[str, list[str]]:
    """Book this many balance transactions; return the figures, and an error if the net is not Stripe's."""
    clock = FakeClock(utc_now())
    clock.advance(seconds=-SECONDS_APART * transactions)
    with FakeStripe(clock=clock) as stripe:
        settings = {"GATEWAY": "stripe", "STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": stripe.url}
        container = container_for(databases.database("balance"), **settings)
        _fill(container, stripe.account, clock, transactions)
        calls_before = stripe.faults.calls.total()
        began = time.monotonic()
        booked = fetch_balance_transactions(container.database.transaction, container.gateway, clock=utc_now)
        ours = time.monotonic() - began
        calls = stripe.faults.calls.total() - calls_before
        began = time.monotonic()
        again = fetch_balance_transactions(container.database.transaction, container.gateway, clock=utc_now)
        idle = time.monotonic() - began
        baseline = _baseline(databases, stripe)
        expected = sum(found["net"] for found in stripe.account.all("balance_transaction"))
    with container.database.read_only() as session:
        net = sum(total.net for total in balance_totals(session))
    container.database.engine.dispose()
    errors = []
    if (booked, again, net) != (transactions, 0, expected):
        errors.append(f"{booked} and {again} of {transactions} were booked, with a net of {net}, not {expected}")
    lines = [
        f"{f'booking {transactions:,} balance transactions':50}{'seconds':>10}{'calls':>8}",
        f"{'ours, first run':50}{ours:>10.1f}{calls:>8,}",
        f"{'ours, next run':50}{idle:>10.2f}",
        f"{'baseline, each page listed and inserted':50}{baseline:>10.1f}{-(-transactions // 100):>8,}",
        f"{'ratio, ours / baseline':50}{ours / baseline:>10.2f}",
        f"the net is {net:,} minor units, as at Stripe" if not errors else "the net is not that of Stripe",
    ]
    return "\n".join(lines), errors


def _fill(container: Container, account: Account, clock: FakeClock, transactions: int) -> None:
    """Make the payments at the double, and record them as their events would."""
    account.settings.async_capture = False
    payments: list[dict[str, Any]] = []
    method = payment_objects.new_payment_method(account, email=None, customer=CUSTOMER)
    with container.database.transaction() as session:
        pledge_id = _store_pledge(session.scalars(select(Campaign.id)).first(), session)
    charge: StripeJson = {}
    for number in range(transactions):
        clock.advance(seconds=SECONDS_APART)
        if number % REFUND_EVERY == REFUND_EVERY - 1:
            refunds.refund(account, charge, 100)
            continue
        intent = payment_objects.new_intent(account, AMOUNT, "usd", customer=CUSTOMER)
        reference = intent["id"]
        if number % 2:
            reference = account.new_id("in_1")
            billing_objects.new_invoice_payment(
                account, {"id": reference, "amount_due": AMOUNT, "currency": "usd"}, intent
            )
        charge = charges.charge(account, intent, method)
        payments.append(
            {
                "id": new_id(),
                "pledge_id": pledge_id,
                "status": PaymentStatus.SUCCEEDED,
                "amount_minor": AMOUNT,
                "currency": "USD",
                "gateway": "stripe",
                "gateway_reference": reference,
                "paid_at": clock(),
            }
        )
        account.events.clear()
    with container.database.transaction() as session:
        session.execute(insert(Payment), payments)


def _store_pledge(campaign_id: uuid.UUID | None, session: Any) -> uuid.UUID:
    pledge_id = new_id()
    session.execute(
        insert(Pledge).values(
            id=pledge_id,
            campaign_id=campaign_id,
            status=PledgeStatus.ACTIVE,
            frequency=Frequency.MONTHLY,
            amount_minor=AMOUNT,
            currency="USD",
            gateway="stripe",
            customer_reference=CUSTOMER,
            created_at=utc_now(),
        )
    )
    return pledge_id


def _baseline(databases: BenchmarkDatabase, stripe: FakeStripe) -> float:
    """Return the seconds that listing the same pages and inserting their rows takes, without any matching."""
    client = StripeClient(KEY, base_addresses={"api": stripe.url}, http_client=RequestsClient(timeout=30))
    with psycopg.connect(databases.empty_database("baseline_balance"), autocommit=True) as connection:
        connection.execute("CREATE TABLE balance (reference text PRIMARY KEY, net bigint, created bigint)")
        began = time.monotonic()
        params: Any = {"limit": 100, "expand": ["data.source"]}
        while True:
            page = client.v1.balance_transactions.list(params)
            with connection.transaction(), connection.cursor() as cursor:
                rows = [(found.id, found.net, found.created) for found in page.data]
                cursor.executemany("INSERT INTO balance VALUES (%s, %s, %s)", rows)
            if not page.has_more:
                return time.monotonic() - began
            params = {**params, "starting_after": page.data[-1].id}
