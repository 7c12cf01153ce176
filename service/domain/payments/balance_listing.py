"""Listing the gateway's balance transactions since the last time, and booking those of our payments.

The time since then is listed in windows, the oldest first, and a window by page. Each page is booked in one
transaction, so a crash between pages loses nothing: the next run repeats the window, and a repeated transaction
changes nothing.
"""

import datetime
from collections.abc import Callable, Iterator
from dataclasses import replace

from service.domain.ledger.balance import (
    advance_cursor,
    book_balance_transactions,
    known_customers,
    plan_listing,
)
from service.domain.ports import Clock, GatewayBalanceTransaction, PaymentGateway, TransactionFactory

WINDOW = datetime.timedelta(days=1)


def fetch_balance_transactions(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    *,
    clock: Clock,
    since: datetime.datetime | None = None,
    should_continue: Callable[[], bool] = lambda: True,
) -> int:
    """Book the transactions listed since the last time, or since an earlier instant; return how many are new.

    Raises:
        GatewayUnavailable: the pages before are booked, and the next run starts from the same window.
    """
    started_at = clock()
    with transaction() as session:
        plan = plan_listing(session, gateway.name)
    if plan is None:
        return 0
    booked = 0
    start = plan.since if since is None else min(plan.since, since)
    for window_start, window_end in _windows(start, started_at):
        # A refund or dispute may be listed on a page before its charge, because the newest come first.
        unassigned: list[GatewayBalanceTransaction] = []
        for page in gateway.list_balance_transactions(window_start, window_end):
            if not should_continue():
                return booked
            new, left = _book_page(transaction, gateway, page)
            booked, unassigned = booked + new, unassigned + left
        with transaction() as session:
            booked += book_balance_transactions(session, gateway.name, unassigned).booked
            newest_payment_id = plan.newest_payment_id if window_end is None else None
            advance_cursor(session, gateway.name, window_end or started_at, newest_payment_id)
        if not should_continue():
            break
    return booked


def _windows(
    start: datetime.datetime, now: datetime.datetime
) -> Iterator[tuple[datetime.datetime, datetime.datetime | None]]:
    """Yield windows that follow one another; the last has no end, whatever the gateway's clock says."""
    while now - start > WINDOW:
        yield start, start + WINDOW
        start += WINDOW
    yield start, None


def _book_page(
    transaction: TransactionFactory, gateway: PaymentGateway, page: list[GatewayBalanceTransaction]
) -> tuple[int, list[GatewayBalanceTransaction]]:
    """Book a page; return how many transactions are new, and the refunds and disputes without a payment so far.

    A recurring payment is recorded by its invoice, which a charge does not name. Only for charges of our own
    customers is the invoice found at the gateway, so that other products on the account cost no calls.
    """
    with transaction() as session:
        result = book_balance_transactions(session, gateway.name, page)
        charges = [item for item in result.unassigned if item.customer is not None and item.intent is not None]
        customers = known_customers(session, gateway.name, (str(item.customer) for item in charges))
    unassigned = [item for item in result.unassigned if item.refund is not None or item.dispute is not None]
    ours = {str(item.intent): item for item in charges if item.customer in customers}
    if not ours:
        return result.booked, unassigned
    invoices = gateway.find_invoices({intent: item.occurred_at for intent, item in ours.items()})
    with transaction() as session:
        found = [replace(ours[intent], invoice=invoice) for intent, invoice in invoices.items() if intent in ours]
        booked = book_balance_transactions(session, gateway.name, found).booked
    return result.booked + booked, unassigned
