"""Privacy jobs: folding the addresses that a release before hashed as typed."""

import threading

import structlog

from service.container import Container
from service.domain.privacy.key_rotation import fold_supporters

log = structlog.get_logger()


def fold_addresses(container: Container, stop: threading.Event) -> dict[str, int]:
    """Fold the supporters that processes of the release before have added since the last run."""
    folded = fold_supporters(
        container.database.transaction, clock=container.clock, should_continue=lambda: not stop.is_set()
    )
    counts = {"folded": folded.rotated, "merged": folded.merged}
    if any(counts.values()):
        log.info("addresses_folded", **counts)
    return counts
