"""Moving notices by what is on record of their mails: after a batch, and after a worker that never came back."""

import datetime
import uuid
from collections import Counter
from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from schemas.vocabulary import NotificationStatus
from service.db.notice import Notice, stands
from service.domain.errors import LeaseLost
from service.domain.mail.backoff import jittered_backoff
from service.domain.mail.tallies import increment_counters
from service.domain.mail.verdicts import NextStep, resolve_delivery
from service.domain.notice_mail.claims import NoticeClaim
from service.domain.notices.status import NoticeEvent, move_notice

ROWS_AT_ONCE = 100
TALLIED = ("sent", "retried", "failed", "in_doubt")

_EVENTS = {
    NextStep.DELIVERED: NoticeEvent.DELIVER,
    NextStep.REQUEUE: NoticeEvent.LOSE_LEASE,
    NextStep.RETRY_LATER: NoticeEvent.RETRY,
    NextStep.FAILED: NoticeEvent.FAIL,
}


def settle_notices(
    session: Session, claims: Sequence[NoticeClaim], *, holds_doubtful: bool, now: datetime.datetime
) -> Counter[str]:
    """Settle a worker's own claims; return how many notices came to which end.

    One that was taken over or forgotten since is not touched.
    """
    leases = {claim.notice_id: claim.lease_number for claim in claims}
    mine = [
        notice
        for notice in session.scalars(
            select(Notice)
            .where(Notice.id.in_(leases), stands(NotificationStatus.SENDING))
            .order_by(Notice.id)
            .with_for_update()
        )
        if notice.lease_number == leases[notice.id]
    ]
    counts = _settle(session, mine, holds_doubtful=holds_doubtful, now=now)
    if len(claims) > len(mine):
        counts["lease_lost"] = len(claims) - len(mine)
    return counts


def return_lost_notices(
    session: Session,
    *,
    holds_doubtful: bool,
    now: datetime.datetime,
    worker: uuid.UUID | None = None,
    limit: int = ROWS_AT_ONCE,
) -> Counter[str]:
    """Settle notices whose lease has ended, however long ago, or that `worker` still holds from a broken run."""
    lost = Notice.leased_until <= now
    held = session.scalars(
        select(Notice)
        .where(
            stands(NotificationStatus.SENDING), lost if worker is None else or_(lost, Notice.leased_by == worker)
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    return _settle(session, held, holds_doubtful=holds_doubtful, now=now)


def refuse_notice(session: Session, claim: NoticeClaim, *, reason: str, now: datetime.datetime) -> None:
    """Record that this letter could not be made into a mail; staff can read why and send it back.

    Raises:
        LeaseLost: the notice was taken over or forgotten since it was claimed.
    """
    notice = session.scalar(
        select(Notice)
        .where(
            Notice.id == claim.notice_id,
            Notice.lease_number == claim.lease_number,
            stands(NotificationStatus.SENDING),
        )
        .with_for_update()
    )
    if notice is None:
        raise LeaseLost("This notice was taken over or forgotten since it was claimed.")
    move_notice(notice, NoticeEvent.FAIL, reason=reason)
    notice.ended_at = now
    increment_counters(session, failed=1)


def _settle(
    session: Session, notices: Sequence[Notice], *, holds_doubtful: bool, now: datetime.datetime
) -> Counter[str]:
    counts: Counter[str] = Counter()
    for notice in notices:
        resolution = resolve_delivery(
            notice.outcome, attempts=notice.attempts, reply=notice.reply, holds_doubtful=holds_doubtful
        )
        move_notice(notice, _EVENTS[resolution.next_step], reason=resolution.reason)
        if resolution.next_step == NextStep.RETRY_LATER:
            notice.due_at = now + jittered_backoff(notice.attempts)
        counts.update(resolution.counters)
    # Written before the tallies are held, which every worker waits for.
    session.flush()
    kept = {name: counts[name] for name in TALLIED if counts[name]}
    if kept:
        increment_counters(session, **kept)
    return counts
