"""Privacy jobs: completing erasures, and bringing what a release before stored up to date."""

import threading
from collections.abc import Mapping

import structlog

from service.container import Container
from service.domain.privacy.erasure import complete_erasures
from service.domain.privacy.key_rotation import fold_supporters, hash_events

log = structlog.get_logger()


def erase_supporters(container: Container, stop: threading.Event) -> Mapping[str, int]:
    """Go on with erasures that wait for the payment gateway, or that a crash interrupted."""
    counts = complete_erasures(
        container.database.transaction,
        container.gateway,
        clock=container.clock,
        should_continue=lambda: not stop.is_set(),
    )
    if any(counts.values()):
        log.info("supporters_erased", **counts)
    return counts


def fold_addresses(container: Container, stop: threading.Event) -> dict[str, int]:
    """Fold the supporters, and hash the events, that processes of the release before have added."""
    transaction, should_continue = container.database.transaction, lambda: not stop.is_set()
    folded = fold_supporters(transaction, clock=container.clock, should_continue=should_continue)
    hashed = hash_events(transaction, should_continue=should_continue)
    counts = {"folded": folded.rotated, "merged": folded.merged, "events": hashed}
    if any(counts.values()):
        log.info("addresses_folded", **counts)
    return counts
