"""Pledges: what a reader chose to give, and where it stands."""

import datetime
import uuid
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import Frequency, PledgeStatus
from service.db.base import new_id
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge, PledgeStatusChange
from service.domain.campaigns.amounts import covered_fees, validate_amount
from service.domain.campaigns.origins import is_allowed_return_url
from service.domain.errors import PledgeNotFound, ReturnUrlNotAllowed
from service.domain.ledger.status import derive_pledge_status, load_pledge_facts
from service.domain.money import Money
from service.domain.pledges.attribution import attributed_reminder_id
from service.domain.pledges.notifications import enqueue_cancellation
from service.domain.pledges.status import TRANSITIONS, PledgeEvent, next_status, transition_path
from service.domain.ports import NO_LIMITS, ChargeLimits
from service.domain.supporters import session_keyring

CHECKOUT_TTL = datetime.timedelta(hours=24)
CREATED = "made"


@dataclass(frozen=True, kw_only=True)
class CreatePledge:
    """What a reader asks to give; `amount` is in minor units, `reminder` the token of the one they came from.

    With `cover_fees` they add the gateway's share, where the campaign asks them to.
    """

    campaign: str
    frequency: Frequency
    amount: int
    currency: str
    page_url: str | None = None
    variant: str | None = None
    lang: str | None = None
    return_url: str | None = None
    reminder: str | None = field(default=None, repr=False)
    cover_fees: bool = False


def validate_pledge(campaign: Campaign, payload: CreatePledge, *, limits: ChargeLimits) -> None:
    """Hold a wish against what the campaign offers, and what the gateway can charge.

    Raises:
        CurrencyNotAccepted, FrequencyNotOffered, AmountBelowMinimum, AmountAboveMaximum, AmountNotChargeable,
        ReturnUrlNotAllowed: each says what would be accepted.
    """
    money, lang = Money(payload.amount, payload.currency), payload.lang or campaign.lang
    validate_amount(campaign, payload.frequency, money, limits=limits, lang=lang)
    if payload.return_url is not None and not is_allowed_return_url(campaign, payload.return_url):
        raise ReturnUrlNotAllowed(
            "The campaign does not list the host of this address; add it to the campaign's return_hosts.",
            field="return_url",
        )


def create_pledge(
    session: Session,
    campaign: Campaign,
    payload: CreatePledge,
    *,
    gateway: str,
    now: datetime.datetime,
    limits: ChargeLimits = NO_LIMITS,
) -> Pledge:
    """Write down a new pledge, pending until the gateway reports what became of it."""
    money = Money(payload.amount, payload.currency)
    came_from = attributed_reminder_id(
        session, session_keyring(session), payload.reminder, campaign_id=campaign.id, now=now
    )
    pledge = Pledge(
        id=new_id(),
        campaign_id=campaign.id,
        reminder_id=came_from,
        status=PledgeStatus.PENDING,
        frequency=payload.frequency,
        amount_minor=payload.amount,
        currency=payload.currency,
        page_url=payload.page_url,
        variant=payload.variant,
        lang=payload.lang,
        return_url=payload.return_url,
        gateway=gateway,
        fees_minor=covered_fees(campaign, money, limits=limits) if payload.cover_fees else 0,
        created_at=now,
    )
    session.add(pledge)
    # The pledge goes in first: its history and its key refer to it by id, with no relationship to order them.
    session.flush()
    session.add(PledgeStatusChange(pledge_id=pledge.id, event=CREATED, to_status=pledge.status, at=now))
    return pledge


def total_charge(pledge: Pledge) -> Money:
    """Return what is charged each time: what was chosen, and what was added to cover the gateway's share."""
    return Money(pledge.amount_minor + pledge.fees_minor, pledge.currency)


def get_pledge(session: Session, pledge_id: uuid.UUID, *, for_update: bool = False) -> Pledge:
    """Return the pledge; with `for_update`, hold its row until the transaction ends.

    Raises:
        PledgeNotFound: there is none with this id.
    """
    pledge = session.get(Pledge, pledge_id, with_for_update=True if for_update else None)
    if pledge is None:
        raise PledgeNotFound("There is no pledge with this id.")
    return pledge


def transition_pledge(session: Session, pledge: Pledge, event: PledgeEvent, *, now: datetime.datetime) -> None:
    """Move a pledge by its table and write the move into its history.

    Raises:
        InvalidTransition: the pledge cannot do this from where it stands.
    """
    before = pledge.status
    pledge.status = next_status(before, event)
    session.add(
        PledgeStatusChange(pledge_id=pledge.id, event=event, from_status=before, to_status=pledge.status, at=now)
    )


def expire_abandoned_pledges(session: Session, *, now: datetime.datetime, limit: int = 100) -> int:
    """Expire pending pledges that are over a day old, the oldest first; return how many."""
    abandoned = session.scalars(
        select(Pledge)
        .where(Pledge.status == PledgeStatus.PENDING, Pledge.created_at <= now - CHECKOUT_TTL)
        .order_by(Pledge.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for pledge in abandoned:
        transition_pledge(session, pledge, PledgeEvent.EXPIRE, now=now)
    return len(abandoned)


def sync_pledge_status(
    session: Session,
    pledge: Pledge,
    *,
    now: datetime.datetime,
    event_to_log: PledgeEvent | None = None,
    said_past_due: bool | None = None,
    is_started: bool = False,
    is_closed: bool = False,
) -> None:
    """Move a pledge whose row is held to where it stands now.

    `event_to_log` goes into the history where it leaves the pledge as it is, such as one renewal more. The other
    three are
    what has just been said of it (see `load_pledge_facts`).
    """
    facts = load_pledge_facts(
        session, pledge, said_past_due=said_past_due, is_started=is_started, is_closed=is_closed
    )
    path = transition_path(pledge.status, derive_pledge_status(facts))
    if not path and event_to_log is not None and TRANSITIONS.get((pledge.status, event_to_log)) == pledge.status:
        path = [event_to_log]
    for event in path:
        transition_pledge(session, pledge, event, now=now)
    if path and pledge.status == PledgeStatus.CANCELLED:
        enqueue_cancellation(session, pledge, now=now)
