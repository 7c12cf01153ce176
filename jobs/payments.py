"""Applies the payment gateway's events, fetches balance transactions and reconciles payments.

All three do nothing where the gateway is our own sandbox.
"""

import threading
from collections.abc import Mapping

import structlog

from service.container import Container
from service.domain.payments import balance_listing
from service.domain.payments.event_processing import process_pending_events
from service.domain.payments.reconciliation import is_due, reconcile
from service.domain.payments.recovery import complete_pending_operations, request_cancellations_for_fraud
from service.domain.pledges.open_invoices import retry_open_invoices
from service.domain.ports import GatewayUnavailable

log = structlog.get_logger()


def process_gateway_events(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Apply the stored events that are due; return counts by outcome, or None for our own gateway."""
    if container.event_source is None:
        return None
    counts = process_pending_events(
        container.database.transaction,
        container.event_source,
        clock=container.clock,
        should_continue=lambda: not stop.is_set(),
    )
    # A new card is tried at once, and the reconciliation repeats what finds the gateway unavailable.
    if retried := retry_open_invoices(
        container.database.transaction, container.gateway, should_continue=lambda: not stop.is_set()
    ):
        counts["invoices_retried"] = retried
    if counts and _request_cancellations(container):
        _complete_operations(container, stop)
    if counts:
        log.info("gateway_events_applied", **counts)
    return counts


def fetch_balance_transactions(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Book the balance transactions of the last minutes; return how many are new, or None for our own gateway.

    If the gateway is unavailable, the rest waits for the next run.
    """
    if container.event_source is None:
        return None
    try:
        booked = balance_listing.fetch_balance_transactions(
            container.database.transaction,
            container.gateway,
            clock=container.clock,
            should_continue=lambda: not stop.is_set(),
        )
    except GatewayUnavailable as error:
        log.warning("balances_put_off", reason=str(error))
        return {"fetched": 0}
    return {"fetched": booked}


def reconcile_payments(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Reconcile if it is due, else only complete pending operations; return counts, or None for our own gateway.

    Raises:
        GatewayUnavailable: the next run starts where this one did.
    """
    if container.event_source is None:
        return None
    _request_cancellations(container)
    with container.database.read_only() as session:
        due = is_due(session, container.event_source.name, now=container.clock())
    if not due:
        return _complete_operations(container, stop)
    report = reconcile(
        container.database.transaction,
        container.gateway,
        container.event_source,
        urls=container.urls,
        clock=container.clock,
        should_continue=lambda: not stop.is_set(),
    )
    log.info("reconciled", **report.counts())
    return report.counts()


def _request_cancellations(container: Container) -> int:
    """Request the cancellations that `DISPUTE_ENDS_SUPPORT` asks for; return how many."""
    if container.settings.stripe is None or not container.settings.stripe.ends_support_on_fraud:
        return 0
    with container.database.transaction() as session:
        return request_cancellations_for_fraud(session, container.gateway.name, now=container.clock())


def _complete_operations(container: Container, stop: threading.Event) -> Mapping[str, int]:
    return complete_pending_operations(
        container.database.transaction,
        container.gateway,
        urls=container.urls,
        clock=container.clock,
        should_continue=lambda: not stop.is_set(),
    )
