"""Claiming the notices that are due, each for one worker at a time, as reminders are (see `mail.claims`)."""

import datetime
import uuid
from dataclasses import dataclass

from sqlalchemy import Select, case, func, select, update
from sqlalchemy.orm import Session

from schemas.vocabulary import DeliveryOutcome, NotificationStatus
from service.db.notice import Notice, stands
from service.db.sign_in import SignIn
from service.domain.notices.status import NoticeEvent, move
from service.domain.sign_in.links import GOOD_FOR


@dataclass(frozen=True)
class NoticeClaim:
    """The right to send a notice, until its lease ends."""

    notice_id: uuid.UUID
    lease_number: int


def claim_due_notices(
    session: Session, *, worker: uuid.UUID, now: datetime.datetime, limit: int, lease: datetime.timedelta
) -> list[NoticeClaim]:
    """Claim notices that are due, passing over those that another worker holds.

    Whoever waits for a link to sign in comes first, however many receipts are due; then the longest due.
    """
    due = select(Notice.id, Notice.lease_number).where(stands(NotificationStatus.SCHEDULED), Notice.due_at <= now)
    # The wishes of the last quarter of an hour are few, and found by their own index.
    waiting = due.join(SignIn, SignIn.id == Notice.sign_in_id).where(SignIn.asked_at > now - GOOD_FOR)
    found = _hold(session, waiting, limit)
    if len(found) < limit:
        rest = due.where(Notice.id.not_in([row.notice_id for row in found])) if found else due
        found += _hold(session, rest, limit - len(found))
    if found:
        session.execute(
            update(Notice)
            .where(Notice.id.in_([claim.notice_id for claim in found]))
            .values(
                status=move(NotificationStatus.SCHEDULED, NoticeEvent.CLAIM),
                reason=None,
                lease_number=Notice.lease_number + 1,
                leased_by=worker,
                leased_until=now + lease,
                # What is on record of an earlier lease says nothing of this one, unless the mail has arrived.
                outcome=case((Notice.outcome == DeliveryOutcome.ACCEPTED, Notice.outcome), else_=None),
            )
            .execution_options(synchronize_session=False)
        )
    return found


def renew_notice_leases(
    session: Session, *, worker: uuid.UUID, now: datetime.datetime, lease: datetime.timedelta
) -> None:
    """Show that a worker is still at what it holds."""
    session.execute(
        update(Notice)
        .where(stands(NotificationStatus.SENDING), Notice.leased_by == worker)
        .values(leased_until=now + lease)
        .execution_options(synchronize_session=False)
    )


def longest_notice_wait(session: Session, *, now: datetime.datetime) -> datetime.timedelta | None:
    """Return for how long the oldest due notice has waited; None if none is due."""
    due_at = session.scalar(select(func.min(Notice.due_at)).where(stands(NotificationStatus.SCHEDULED)))
    return now - due_at if due_at is not None and due_at <= now else None


def _hold(session: Session, due: Select[uuid.UUID, int], limit: int) -> list[NoticeClaim]:
    rows = session.execute(
        due.order_by(Notice.due_at, Notice.id).limit(limit).with_for_update(of=Notice, skip_locked=True)
    )
    return [NoticeClaim(notice_id, lease_number + 1) for notice_id, lease_number in rows]
