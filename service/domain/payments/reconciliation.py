"""Holding what reached us against what the gateway says of itself, and finishing what a crash left half done.

Nothing here is needed on a good day. Every call may be repeated, by any number of workers at once.
"""

import datetime
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import structlog
from sqlalchemy.orm import Session

from service.db.models.payment import ReconciliationCursor
from service.db.upsert import dialect_insert
from service.domain.payments.event_processing import process_pending_events
from service.domain.payments.inbox import RECONCILER, store_event
from service.domain.payments.recovery import complete_pending_operations
from service.domain.ports import Clock, EventSource, PaymentGateway, RawEvent, TransactionFactory
from service.domain.urls import UrlBuilder

INITIAL_LOOKBACK = datetime.timedelta(days=30)
# What happens at the gateway is not in its list at the same moment, and its clock is not ours.
OVERLAP = datetime.timedelta(hours=24)
RUN_HOUR_UTC = 3
BATCH_SIZE = 100

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class ReconciliationReport:
    """Events seen, those of them that no webhook told us, what became of what was due, and what was mended."""

    seen: int = 0
    missed: int = 0
    events: Counter[str] = field(default_factory=Counter)
    completed: Counter[str] = field(default_factory=Counter)

    def counts(self) -> dict[str, int]:
        """Return all of it by name."""
        sums = self.events + self.completed
        return {"seen": self.seen, "not_told": self.missed, **sums}


def is_due(session: Session, gateway: str, *, now: datetime.datetime) -> bool:
    """Whether no comparison was made since the last three o'clock at night (UTC)."""
    row = session.get(ReconciliationCursor, gateway)
    night = now.replace(hour=RUN_HOUR_UTC, minute=0, second=0, microsecond=0)
    if night > now:
        night -= datetime.timedelta(days=1)
    return row is None or row.reconciled_until < night


def reconcile(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    source: EventSource,
    *,
    links: UrlBuilder,
    clock: Clock,
    should_continue: Callable[[], bool] = lambda: True,
    on_progress: Callable[[int], None] = lambda _: None,
) -> ReconciliationReport:
    """Keep what no webhook told us, apply it, and finish what was begun; `on_progress` hears how many were seen.

    Raises:
        GatewayUnavailable: what was found so far is kept, and the next comparison begins where this one did.
    """
    began = clock()
    with transaction() as session:
        row = session.get(ReconciliationCursor, source.name)
        # A first look back reaches as far as Stripe remembers.
        since = began - INITIAL_LOOKBACK if row is None else row.reconciled_until - OVERLAP
    seen = not_told = 0
    for some in _in_batches(source.list_events_since(since)):
        with transaction() as session:
            missing = [
                raw for raw in some if store_event(session, source.name, raw, source=RECONCILER, now=clock())
            ]
        for raw in missing:
            happened = raw.occurred_at.isoformat()
            log.warning("event_not_told", reference=raw.reference, kind=raw.kind, occurred_at=happened)
        seen, not_told = seen + len(some), not_told + len(missing)
        on_progress(seen)
        if not should_continue():
            return ReconciliationReport(seen=seen, missed=not_told)
    with transaction() as session:
        _advance_cursor(session, source.name, began)
    events = process_pending_events(transaction, source, clock=clock, goes_on=should_continue)
    mended = complete_pending_operations(
        transaction, gateway, links=links, clock=clock, should_continue=should_continue
    )
    return ReconciliationReport(seen=seen, missed=not_told, events=events, completed=mended)


def _in_batches(events: Iterator[RawEvent]) -> Iterator[list[RawEvent]]:
    # The gateway is asked for its next page while nothing is open here.
    while some := list(islice(events, BATCH_SIZE)):
        yield some


def _advance_cursor(session: Session, gateway: str, until: datetime.datetime) -> None:
    statement = dialect_insert(session, ReconciliationCursor).values(gateway=gateway, reconciled_until=until)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[ReconciliationCursor.gateway],
            set_={"reconciled_until": statement.excluded.reconciled_until},
        )
    )
