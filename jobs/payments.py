"""Applies what the gateway told us: any number of workers may, each event is one worker's at a time."""

import threading
from collections.abc import Mapping

import structlog

from service.container import Container
from service.domain.ledger.records import payments_missing_balance, record_balance_transaction
from service.domain.payments.event_processing import process_pending_events
from service.domain.payments.reconciliation import is_due
from service.domain.payments.reconciliation import reconcile as hold_against_gateway
from service.domain.payments.recovery import complete_pending_operations
from service.domain.ports import GatewayUnavailable

log = structlog.get_logger()


def process_gateway_events(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Apply what is due; return how many events came to which end. None where the gateway is our own."""
    if container.event_source is None:
        return None
    counts = process_pending_events(
        container.database.transaction,
        container.event_source,
        clock=container.clock,
        should_continue=lambda: not stop.is_set(),
    )
    if counts:
        log.info("gateway_events_applied", **counts)
    return counts


def fetch_balance_transactions(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Ask for a batch; return how many are known by now. None where the gateway is our own.

    A gateway that does not answer is left alone until the next run.
    """
    if container.event_source is None:
        return None
    with container.database.read_only() as session:
        unknown = payments_missing_balance(session, container.gateway.name, now=container.clock())
    known = 0
    for payment in unknown:
        if stop.is_set():
            break
        try:
            balance = container.gateway.get_balance_transaction(payment.reference)
        except GatewayUnavailable as error:
            log.warning("balances_put_off", reason=str(error))
            break
        if balance is not None:
            with container.database.transaction() as session:
                known += record_balance_transaction(session, payment.payment_id, balance)
    return {"fetched": known}


def reconcile_payments(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Compare if it is time, and finish what was ordered and not done in any case; return what was found and done.

    None where the gateway is our own.

    Raises:
        GatewayUnavailable: the next run begins where this one did.
    """
    if container.event_source is None:
        return None
    with container.database.read_only() as session:
        due = is_due(session, container.event_source.name, now=container.clock())
    if not due:
        return complete_pending_operations(
            container.database.transaction,
            container.gateway,
            links=container.urls,
            clock=container.clock,
            should_continue=lambda: not stop.is_set(),
        )
    report = hold_against_gateway(
        container.database.transaction,
        container.gateway,
        container.event_source,
        links=container.urls,
        clock=container.clock,
        should_continue=lambda: not stop.is_set(),
    )
    log.info("reconciled", **report.counts())
    return report.counts()
