"""Reconciling with the payment gateway: fetch events that no webhook delivered, and complete what a crash left.

Usually there is nothing to do. Every call is idempotent and safe with any number of concurrent workers.
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
from service.domain.payments.balance_listing import fetch_balance_transactions
from service.domain.payments.event_processing import make_resolvable_events_due, process_pending_events
from service.domain.payments.inbox import RECONCILER, store_event
from service.domain.payments.recovery import complete_pending_operations
from service.domain.ports import (
    Clock,
    EventSource,
    GatewayUnavailable,
    PaymentGateway,
    RawEvent,
    TransactionFactory,
)
from service.domain.urls import UrlBuilder

INITIAL_LOOKBACK = datetime.timedelta(days=30)
# The gateway lists an event with a delay, and its clock differs from ours.
OVERLAP = datetime.timedelta(hours=24)
RUN_HOUR_UTC = 3
BATCH_SIZE = 100

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class ReconciliationReport:
    """Events seen, events that no webhook delivered, processed events by status, completed operations by kind.

    `booked` is the number of new balance transactions.
    """

    seen: int = 0
    missed: int = 0
    events: Counter[str] = field(default_factory=Counter)
    completed: Counter[str] = field(default_factory=Counter)
    booked: int = 0

    def counts(self) -> dict[str, int]:
        """Return every count by its name in `mainstay jobs`."""
        return {"seen": self.seen, "not_told": self.missed, **(self.events + self.completed)}


def is_due(session: Session, gateway: str, *, now: datetime.datetime) -> bool:
    """Whether the last reconciliation was before the last `RUN_HOUR_UTC`."""
    row = session.get(ReconciliationCursor, gateway)
    last_run_hour = now.replace(hour=RUN_HOUR_UTC, minute=0, second=0, microsecond=0)
    if last_run_hour > now:
        last_run_hour -= datetime.timedelta(days=1)
    return row is None or row.reconciled_until < last_run_hour


def reconcile(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    source: EventSource,
    *,
    urls: UrlBuilder,
    clock: Clock,
    should_continue: Callable[[], bool] = lambda: True,
    on_progress: Callable[[int], None] = lambda _: None,
) -> ReconciliationReport:
    """Store missed events, process what is pending, and complete pending operations.

    Events that were parked because the one they depend on was missed are processed again.

    `on_progress` is called with the number of events seen so far.

    Raises:
        GatewayUnavailable: the events found so far are stored, and the next run starts from the same instant.
    """
    started_at = clock()
    with transaction() as session:
        row = session.get(ReconciliationCursor, source.name)
        # Stripe lists events of the last 30 days, which bounds the first run.
        since = started_at - INITIAL_LOOKBACK if row is None else row.reconciled_until - OVERLAP
    seen = missed = 0
    for batch in _in_batches(source.list_events_since(since)):
        with transaction() as session:
            missing = [
                raw for raw in batch if store_event(session, source.name, raw, source=RECONCILER, now=clock())
            ]
        for raw in missing:
            occurred_at = raw.occurred_at.isoformat()
            log.warning("event_missed", reference=raw.reference, kind=raw.kind, occurred_at=occurred_at)
        seen, missed = seen + len(batch), missed + len(missing)
        on_progress(seen)
        if not should_continue():
            return ReconciliationReport(seen=seen, missed=missed)
    with transaction() as session:
        _advance_cursor(session, source.name, started_at)
    events = process_pending_events(transaction, source, clock=clock, should_continue=should_continue)
    with transaction() as session:
        make_resolvable_events_due(session, source.name, now=clock())
    events += process_pending_events(transaction, source, clock=clock, should_continue=should_continue)
    completed = complete_pending_operations(
        transaction, gateway, urls=urls, clock=clock, should_continue=should_continue
    )
    try:
        booked = fetch_balance_transactions(
            transaction, gateway, clock=clock, since=since, should_continue=should_continue
        )
    except GatewayUnavailable as error:
        # The job that books them every minute lists from the same instant.
        log.warning("balances_put_off", reason=str(error))
        booked = 0
    return ReconciliationReport(seen=seen, missed=missed, events=events, completed=completed, booked=booked)


def _in_batches(events: Iterator[RawEvent]) -> Iterator[list[RawEvent]]:
    # Fetching the next page from the gateway happens here, with no transaction open.
    while batch := list(islice(events, BATCH_SIZE)):
        yield batch


def _advance_cursor(session: Session, gateway: str, until: datetime.datetime) -> None:
    statement = dialect_insert(session, ReconciliationCursor).values(gateway=gateway, reconciled_until=until)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[ReconciliationCursor.gateway],
            set_={"reconciled_until": statement.excluded.reconciled_until},
        )
    )
