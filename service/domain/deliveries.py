"""Reminders as the worker sees them: claim what is due, write the letter, record what became of it.

A claim holds a row for a while under a lease number. Whoever comes back after the lease was lost cannot
record over the new owner's result, because the number has moved on.
"""

import datetime
import uuid
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.vocabulary import PaymentStatus, ReminderStatus
from service.db.campaign import Campaign
from service.db.payment import Payment
from service.db.pledge import Pledge
from service.db.reminder import Reminder
from service.domain.errors import LeaseLost
from service.domain.links import Links
from service.domain.listed_pages import is_on_embedding_site
from service.domain.ports import ReminderLetter
from service.domain.reminder_status import ReminderEvent
from service.domain.reminders import chosen_gift, move_reminder, reminder_token
from service.domain.supporters import keyring_in

LEASE = datetime.timedelta(minutes=5)
MOST_ATTEMPTS = 8
FIRST_PAUSE = datetime.timedelta(minutes=5)
LONGEST_PAUSE = datetime.timedelta(hours=12)
ALREADY_GAVE = "already_gave"
WORKER_STOPPED = "worker_stopped"
LEASE_EXPIRED = "lease_expired"


@dataclass(frozen=True)
class Claim:
    """The right to send one reminder, until its lease ends."""

    reminder_id: uuid.UUID
    lease_number: int


def claim_due_reminders(session: Session, *, now: datetime.datetime, limit: int) -> list[Claim]:
    """Claim reminders that are due, the longest due first, passing over those that another worker holds."""
    due = session.scalars(
        select(Reminder)
        .where(Reminder.status == ReminderStatus.SCHEDULED, Reminder.due_at <= now)
        .order_by(Reminder.due_at, Reminder.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for reminder in due:
        move_reminder(session, reminder, ReminderEvent.CLAIM, now=now)
        reminder.lease_number += 1
        reminder.attempts += 1
        reminder.leased_until = now + LEASE
    return [Claim(reminder.id, reminder.lease_number) for reminder in due]


def return_lost_reminders(session: Session, *, now: datetime.datetime, limit: int = 100) -> int:
    """Put reminders whose worker vanished back in the queue, however long ago it was; return how many."""
    lost = session.scalars(
        select(Reminder)
        .where(Reminder.status == ReminderStatus.SENDING, Reminder.leased_until <= now)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for reminder in lost:
        move_reminder(session, reminder, ReminderEvent.LOSE_LEASE, now=now, reason=LEASE_EXPIRED)
    return len(lost)


def write_letter(session: Session, claim: Claim, *, links: Links, now: datetime.datetime) -> ReminderLetter | None:
    """Renew the lease and return the letter; None if the reader gave since asking, which ends the reminder.

    Raises:
        LeaseLost: the reminder was cancelled, renewed or taken over since it was claimed.
    """
    reminder = _held(session, claim)
    if _gave_since_asking(session, reminder):
        move_reminder(session, reminder, ReminderEvent.SKIP, now=now, reason=ALREADY_GAVE)
        return None
    reminder.leased_until = now + LEASE
    campaign = reminder.campaign
    # A reader of "pt-BR" is written to in a campaign's "pt", where it has no closer words.
    texts: dict[str, str] = campaign.texts.get(reminder.lang) or campaign.texts.get(
        reminder.lang.partition("-")[0], {}
    )
    gift = chosen_gift(reminder)
    token = reminder_token(keyring_in(session), reminder)
    return ReminderLetter(
        message_id=f"<reminder-{reminder.id}-{reminder.occurrence}@{links.host}>",
        to=reminder.supporter.email,
        lang=reminder.lang,
        campaign_name=campaign.name,
        campaign_heading=texts.get("heading", campaign.heading),
        texts=texts,
        asked_on=reminder.asked_at.astimezone(ZoneInfo(reminder.timezone)).date(),
        asked_where=_where(campaign, reminder.page_url, links),
        frequency=reminder.frequency,
        money=gift,
        give_url=links.gift_page(campaign, reminder.frequency, gift.amount_minor if gift else None),
        manage_url=links.reminder_page(token),
        cancel_url=links.reminder_cancel(token),
    )


def record_sent(session: Session, claim: Claim, *, now: datetime.datetime) -> None:
    """Record that the mail was accepted.

    Raises:
        LeaseLost: as in `write_letter`; the mail has left all the same.
    """
    reminder = _held(session, claim)
    move_reminder(session, reminder, ReminderEvent.DELIVER, now=now)
    reminder.sent_at = now


def record_delay(session: Session, claim: Claim, *, reason: str, now: datetime.datetime) -> None:
    """Record that the mail could not leave now: try later, each time after a longer pause, at most eight times.

    Raises:
        LeaseLost: as in `write_letter`.
    """
    reminder = _held(session, claim)
    if reminder.attempts >= MOST_ATTEMPTS:
        move_reminder(session, reminder, ReminderEvent.FAIL, now=now, reason=reason)
        return
    move_reminder(session, reminder, ReminderEvent.RETRY, now=now, reason=reason)
    reminder.due_at = now + pause_after(reminder.attempts)


def pause_after(attempts: int) -> datetime.timedelta:
    """Return how long to wait after so many attempts: 5, 15, 45 minutes and so on, at most half a day."""
    factor: int = 3 ** (attempts - 1)
    return min(FIRST_PAUSE * factor, LONGEST_PAUSE)


def record_failure(session: Session, claim: Claim, *, reason: str, now: datetime.datetime) -> None:
    """Record that this mail will never leave as it is; staff can read why and send it back.

    Raises:
        LeaseLost: as in `write_letter`.
    """
    move_reminder(session, _held(session, claim), ReminderEvent.FAIL, now=now, reason=reason)


def hand_back(session: Session, claim: Claim, *, now: datetime.datetime) -> None:
    """Return a reminder that was claimed but not begun, as when the worker is told to stop; it costs no attempt.

    Raises:
        LeaseLost: as in `write_letter`.
    """
    reminder = _held(session, claim)
    move_reminder(session, reminder, ReminderEvent.LOSE_LEASE, now=now, reason=WORKER_STOPPED)
    reminder.attempts -= 1


def _held(session: Session, claim: Claim) -> Reminder:
    reminder = session.scalar(
        select(Reminder)
        .where(
            Reminder.id == claim.reminder_id,
            Reminder.status == ReminderStatus.SENDING,
            Reminder.lease_number == claim.lease_number,
        )
        .with_for_update()
    )
    if reminder is None:
        raise LeaseLost("This reminder was cancelled, renewed or taken over since it was claimed.")
    return reminder


def _where(campaign: Campaign, page_url: str | None, links: Links) -> str | None:
    """Return the page that the reader asked on, if it is ours or on a site that may embed the campaign.

    Anybody can send a sign-up that names any page. A campaign that lists its sites keeps strangers' pages out of
    its mails; one that lets every site embed it (`*`, the default) does not.
    """
    named = page_url is not None and is_on_embedding_site(campaign, page_url, own=links.public_url)
    return page_url if named else None


def _gave_since_asking(session: Session, reminder: Reminder) -> bool:
    paid_since = (
        select(Payment.id)
        .join(Pledge, Pledge.id == Payment.pledge_id)
        .where(
            Pledge.supporter_id == reminder.supporter_id,
            Payment.status == PaymentStatus.SUCCEEDED,
            Payment.paid_at >= reminder.asked_at,
        )
    )
    return session.scalar(paid_since.limit(1)) is not None
