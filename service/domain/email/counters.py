"""How many mails came to which end, counted as they do, since the rows themselves change and are deleted."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.db.models.email import EmailCounter
from service.db.upsert import dialect_insert

COUNTER_NAMES = ("sent", "failed", "skipped", "retried", "suppressed", "in_doubt")


def increment_counters(session: Session, **counts: int) -> None:
    """Add to the tallies, as in `increment_counters(session, sent=12, retried=1)`.

    Whoever counts holds the tallies until its transaction ends. It does so once, at the end of it and in the order
    of their names, so that no worker waits for long and none for one that waits for it.
    """
    rows = [{"name": name, "count": count} for name, count in sorted(counts.items()) if count]
    if not rows:
        return
    statement = dialect_insert(session, EmailCounter).values(rows)
    sums = {"count": EmailCounter.count + statement.excluded["count"]}
    session.execute(statement.on_conflict_do_update(index_elements=[EmailCounter.name], set_=sums))


def read_counters(session: Session) -> dict[str, int]:
    """Return every tally by name; one that nothing was added to yet is 0."""
    rows = session.execute(select(EmailCounter.name, EmailCounter.count)).all()
    return dict.fromkeys(COUNTER_NAMES, 0) | dict(rows)
