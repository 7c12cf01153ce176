"""Applies what the gateway told us: any number of workers may, each event is one worker's at a time."""

import threading
from collections.abc import Mapping

import structlog

from service.container import Container
from service.domain.payments.event_processing import process_pending_events

log = structlog.get_logger()


def process_gateway_events(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Apply what is due; return how many events came to which end. None where the gateway is our own."""
    if container.event_source is None:
        return None
    counts = process_pending_events(
        container.database.transaction,
        container.event_source,
        clock=container.clock,
        goes_on=lambda: not stop.is_set(),
    )
    if counts:
        log.info("gateway_events_applied", **counts)
    return counts
