"""Running totals of email outcomes.

They are counted as they happen, because the rows that they count change and are purged.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.db.models.email import EmailCounter
from service.db.upsert import dialect_insert

COUNTER_NAMES = ("sent", "failed", "skipped", "retried", "suppressed", "in_doubt")


def increment_counters(session: Session, **counts: int) -> None:
    """Add to the counters, as in `increment_counters(session, sent=12, retried=1)`.

    The rows stay locked until the transaction ends. Call it once, at the end of a transaction. The rows are
    updated in the order of their names, so that workers cannot deadlock.
    """
    rows = [{"name": name, "count": count} for name, count in sorted(counts.items()) if count]
    if not rows:
        return
    statement = dialect_insert(session, EmailCounter).values(rows)
    sums = {"count": EmailCounter.count + statement.excluded["count"]}
    session.execute(statement.on_conflict_do_update(index_elements=[EmailCounter.name], set_=sums))


def read_counters(session: Session) -> dict[str, int]:
    """Return every counter by name; one without a row yet is 0."""
    rows = session.execute(select(EmailCounter.name, EmailCounter.count)).all()
    return dict.fromkeys(COUNTER_NAMES, 0) | dict(rows)
