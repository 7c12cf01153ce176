"""Complaints about emails of ours, as mailbox providers report them: the reader gets no more email."""

import contextlib
import datetime
import uuid

from sqlalchemy.orm import Session

from schemas.enums import SuppressionReason
from service.db.models.email import ALL_CAMPAIGNS
from service.domain.email.suppression import suppress_supporter
from service.domain.errors import PledgeNotFound, ReminderNotFound
from service.domain.pledges.links import get_pledge_by_token
from service.domain.ports import AbuseReport
from service.domain.reminders.self_service import get_reminder_by_token


def apply_abuse_report(session: Session, report: AbuseReport, *, now: datetime.datetime) -> bool:
    """Suppress the reader of the email that a report is about; return False if no token in it is valid.

    The address is that of the reminder or the pledge, and never one that the report names. Repeating it changes
    nothing.
    """
    supporter_id = _reader(session, report, now)
    if supporter_id is None:
        return False
    suppress_supporter(session, supporter_id, reason=SuppressionReason.COMPLAINT, now=now, scope=ALL_CAMPAIGNS)
    return True


def _reader(session: Session, report: AbuseReport, now: datetime.datetime) -> uuid.UUID | None:
    if report.reminder_token is not None:
        with contextlib.suppress(ReminderNotFound):
            return get_reminder_by_token(session, report.reminder_token, now=now).supporter_id
    if report.pledge_token is not None:
        with contextlib.suppress(PledgeNotFound):
            return get_pledge_by_token(session, report.pledge_token, now=now).supporter_id
    return None
