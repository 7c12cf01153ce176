"""Holds what reached us against what the gateway says of itself, each night and when that was never done."""

import threading
from collections.abc import Mapping

import structlog

from service.desk import Desk
from service.domain.events.finishing import finish_orders
from service.domain.events.reconciling import is_due
from service.domain.events.reconciling import reconcile as hold_against_gateway

log = structlog.get_logger()


def reconcile(desk: Desk, stop: threading.Event) -> Mapping[str, int] | None:
    """Compare if it is time, and finish what was ordered and not done in any case; return what was found and done.

    None where the gateway is our own.

    Raises:
        GatewayUnavailable: the next run begins where this one did.
    """
    if desk.gateway_events is None:
        return None
    with desk.database.reading() as session:
        due = is_due(session, desk.gateway_events.name, now=desk.clock())
    if not due:
        return finish_orders(
            desk.database.transaction,
            desk.gateway,
            links=desk.links,
            clock=desk.clock,
            goes_on=lambda: not stop.is_set(),
        )
    report = hold_against_gateway(
        desk.database.transaction,
        desk.gateway,
        desk.gateway_events,
        links=desk.links,
        clock=desk.clock,
        goes_on=lambda: not stop.is_set(),
    )
    log.info("reconciled", **report.counts())
    return report.counts()
