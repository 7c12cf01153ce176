"""Holds what reached us against what the gateway says of itself, each night and when that was never done."""

import threading
from collections.abc import Mapping

import structlog

from service.container import Container
from service.domain.payments.reconciliation import is_due
from service.domain.payments.reconciliation import reconcile as hold_against_gateway
from service.domain.payments.recovery import complete_pending_operations

log = structlog.get_logger()


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
