"""What a sign-up may cause for an address: anyone can type in the address of someone else."""

import datetime
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import bindparam, literal, select, true
from sqlalchemy.orm import Session

from schemas.enums import EmailStatus, ReminderStatus
from service.db.models.campaign import Campaign
from service.db.models.email import ALL_CAMPAIGNS, OutgoingEmail
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.db.session import session_keyring
from service.domain.email.addresses import address_hashes, fold_address
from service.domain.email.mailbox_limits import (
    CONFIRMATION,
    PLUS_ADDRESS,
    RESUBSCRIPTION,
    SIGN_UP,
    Limit,
    mailbox_of,
    take_slot,
)
from service.domain.email.suppression import latest_unsubscribe, lookup_hashes
from service.domain.reminders.transitions import next_confirmation_at


@dataclass(frozen=True, kw_only=True)
class KnownReader:
    """What is known about an address before a sign-up. `status` is None if it has no reminder for this campaign.

    The reader `is_unsubscribed` if they said no after they last proved, by a link of ours, that they want this
    campaign's email. `email_status` is the status of the reminder's last email, and `last_sent_at` is when it was
    begun.
    """

    is_unsubscribed: bool
    status: ReminderStatus | None
    awaits_confirmation: bool
    confirmed_at: datetime.datetime | None
    last_sent_at: datetime.datetime | None
    email_status: EmailStatus | None


def find_known_reader(session: Session, campaign: Campaign, address: str) -> KnownReader:
    """Return what is known about a normalised address, with one query."""
    # A mailbox that unsubscribed under its plain address did not do so for one address only.
    forms = dict.fromkeys((address, mailbox_of(address)))
    parameters = {
        "email_hashes": address_hashes(session_keyring(session), address),
        "campaign_id": campaign.id,
        "unsubscribed_hashes": [email_hash for form in forms for email_hash in lookup_hashes(session, form)],
        "slug": campaign.slug,
    }
    row = session.connection().execute(_known_reader_query(), parameters).one()
    is_unsubscribed = row.unsubscribed_at is not None and (
        row.confirmed_at is None or row.unsubscribed_at > row.confirmed_at
    )
    return KnownReader(
        is_unsubscribed=is_unsubscribed,
        status=row.status,
        awaits_confirmation=bool(row.awaits_confirmation),
        confirmed_at=row.confirmed_at,
        last_sent_at=row.started_at,
        email_status=row.email_status,
    )


@cache
def _known_reader_query() -> Any:
    """Return the query of `find_known_reader`, built once, because building it takes longer than running it."""
    reminder = (
        select(
            Reminder.status,
            Reminder.awaits_confirmation,
            Reminder.confirmed_at,
            OutgoingEmail.started_at,
            OutgoingEmail.status.label("email_status"),
        )
        .join(Supporter, Supporter.id == Reminder.supporter_id)
        .outerjoin(
            OutgoingEmail,
            (OutgoingEmail.reminder_id == Reminder.id) & (OutgoingEmail.occurrence == Reminder.occurrence),
        )
        .where(
            Supporter.email_hash.in_(bindparam("email_hashes", expanding=True)),
            Reminder.campaign_id == bindparam("campaign_id"),
        )
        .limit(1)
        .subquery()
    )
    unsubscribed_at = latest_unsubscribe(bindparam("unsubscribed_hashes", expanding=True), bindparam("slug"))
    always = select(literal(1)).subquery()
    return select(unsubscribed_at.label("unsubscribed_at"), reminder).select_from(
        always.outerjoin(reminder, true())
    )


def may_send(
    session: Session, campaign: Campaign, address: str, known: KnownReader, *, now: datetime.datetime
) -> bool:
    """Count the email that a sign-up would cause; return False if its mailbox has had enough of them.

    Exactly one count is made for every address, so that the time of a response does not tell what is known of it.

    Before the reminder's row is locked, because two sign-ups that lock a count and a row in a different order
    would deadlock.
    """
    limit, scope = _limit_for(campaign, address, known, now=now)
    return take_slot(session, address, limit, now=now, scope=scope)


def _limit_for(
    campaign: Campaign, address: str, known: KnownReader, *, now: datetime.datetime
) -> tuple[Limit, str]:
    if known.is_unsubscribed:
        return RESUBSCRIPTION, campaign.slug
    if not campaign.reminder_confirm:
        is_new_plus_address = known.status is None and mailbox_of(address) != fold_address(address)
        return (PLUS_ADDRESS if is_new_plus_address else SIGN_UP), ALL_CAMPAIGNS
    if known.confirmed_at is not None:
        return SIGN_UP, ALL_CAMPAIGNS
    if known.status is not None:
        send_at = next_confirmation_at(
            known.status,
            awaits=known.awaits_confirmation,
            last_sent_at=known.last_sent_at,
            is_being_sent=known.email_status == EmailStatus.SENDING,
            now=now,
        )
        if send_at is None:
            return SIGN_UP, ALL_CAMPAIGNS
    return CONFIRMATION, campaign.slug
