"""The pledge itself: validating and creating one, reading it, and changing its status."""

import datetime
import uuid
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import Frequency, PledgeStatus
from service.db.base import new_id
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge, PledgeStatusChange
from service.db.session import session_keyring
from service.domain.campaigns.amounts import covered_fees, validate_amount
from service.domain.campaigns.definitions import require_open
from service.domain.campaigns.origins import is_allowed_return_url
from service.domain.errors import PledgeNotFound, ReturnUrlNotAllowed
from service.domain.ledger.status import (
    PledgeFacts,
    derive_pledge_status,
    has_first_payment_failed,
    load_pledge_facts,
)
from service.domain.money import Money
from service.domain.pledges.attribution import attributed_reminder_id, supporter_for_token
from service.domain.pledges.customers import reusable_customer
from service.domain.pledges.notifications import enqueue_cancellation, enqueue_payment_bounced
from service.domain.pledges.status import TRANSITIONS, PledgeEvent, next_status, transition_path
from service.domain.ports import NO_LIMITS, ChargeLimits

CHECKOUT_TTL = datetime.timedelta(hours=24)
CREATED = "made"


@dataclass(frozen=True, kw_only=True)
class CreatePledge:
    """A request for a new pledge. `amount` is in minor units.

    `reminder` is the token of the reminder or the pledge whose link led here. `cover_fees` adds the gateway's
    fees, where the campaign offers that.
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
    """Check a request against what the campaign offers and what the gateway can charge.

    Raises:
        CampaignClosed: it takes no pledges.
        CurrencyNotAccepted, FrequencyNotOffered, AmountBelowMinimum, AmountAboveMaximum, AmountNotChargeable,
        ReturnUrlNotAllowed: each names what would be accepted.
    """
    require_open(campaign)
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
    supporter_id: uuid.UUID | None = None,
) -> Pledge:
    """Insert a pending pledge; events of the gateway change its status later.

    A supporter who is signed in (`supporter_id`) or comes by a link of ours pays as the same customer as before.
    """
    money = Money(payload.amount, payload.currency)
    keyring, token = session_keyring(session), payload.reminder
    reminder_id = attributed_reminder_id(session, keyring, token, campaign_id=campaign.id, now=now)
    supporter_id = supporter_id or supporter_for_token(session, keyring, token, now=now)
    customer = None
    if supporter_id is not None:
        customer = reusable_customer(
            session, supporter_id, gateway=gateway, frequency=payload.frequency, currency=payload.currency
        )
    pledge = Pledge(
        id=new_id(),
        campaign_id=campaign.id,
        reminder_id=reminder_id,
        status=PledgeStatus.PENDING,
        frequency=payload.frequency,
        amount_minor=payload.amount,
        currency=payload.currency,
        page_url=payload.page_url,
        variant=payload.variant,
        lang=payload.lang,
        return_url=payload.return_url,
        gateway=gateway,
        customer_reference=customer,
        fees_minor=covered_fees(campaign, money, limits=limits) if payload.cover_fees else 0,
        created_at=now,
    )
    session.add(pledge)
    # The status history and the idempotency key refer to the pledge by id. No relationship orders the inserts.
    session.flush()
    session.add(PledgeStatusChange(pledge_id=pledge.id, event=CREATED, to_status=pledge.status, at=now))
    return pledge


def get_pledge(session: Session, pledge_id: uuid.UUID, *, for_update: bool = False) -> Pledge:
    """Return the pledge; `for_update` locks its row until the transaction ends.

    Raises:
        PledgeNotFound: no pledge has this id.
    """
    pledge = session.get(Pledge, pledge_id, with_for_update=True if for_update else None)
    if pledge is None:
        raise PledgeNotFound("There is no pledge with this id.")
    return pledge


def total_charge(pledge: Pledge) -> Money:
    """Return what the gateway charges each time: the amount plus the fees that the reader covers."""
    return Money(pledge.amount_minor + pledge.fees_minor, pledge.currency)


def is_bounced(pledge: Pledge) -> bool:
    """Whether the reader completed the checkout of a one-time pledge, and the bank did not make the payment."""
    return pledge.status == PledgeStatus.EXPIRED and pledge.checkout_completed_at is not None


def transition_pledge(session: Session, pledge: Pledge, event: PledgeEvent, *, now: datetime.datetime) -> None:
    """Change the pledge's status by the transition table and append the change to its history.

    Raises:
        InvalidTransition: the event is not allowed in this status.
    """
    before = pledge.status
    pledge.status = next_status(before, event)
    session.add(
        PledgeStatusChange(pledge_id=pledge.id, event=event, from_status=before, to_status=pledge.status, at=now)
    )


def sync_pledge_status(
    session: Session,
    pledge: Pledge,
    *,
    now: datetime.datetime,
    event_to_log: PledgeEvent | None = None,
    gateway_past_due: bool | None = None,
    is_started: bool = False,
    checkout_closed: bool = False,
) -> None:
    """Set the status of a locked pledge to the one that its payments and the gateway's reports add up to.

    `event_to_log` is appended to the history even if it leaves the status as it is, such as one more renewal.
    The other three are what the gateway has just reported (see `load_pledge_facts`).
    """
    facts = load_pledge_facts(
        session,
        pledge,
        gateway_past_due=gateway_past_due,
        is_started=is_started,
        checkout_closed=checkout_closed,
    )
    path = _path_to(pledge.status, facts)
    if not path and event_to_log is not None and TRANSITIONS.get((pledge.status, event_to_log)) == pledge.status:
        path = [event_to_log]
    for event in path:
        transition_pledge(session, pledge, event, now=now)
    if path and pledge.status == PledgeStatus.CANCELLED:
        enqueue_cancellation(session, pledge, now=now)
    if pledge.status == PledgeStatus.EXPIRED and has_first_payment_failed(facts):
        enqueue_payment_bounced(session, pledge, now=now)


def _path_to(before: PledgeStatus, facts: PledgeFacts) -> list[PledgeEvent]:
    """Return the events that lead to the status which the facts add up to; a pledge starts only with a payment."""
    after = derive_pledge_status(facts)
    is_unpaid = facts.paid_minor == 0 and facts.settled_outside_at is None
    if (
        is_unpaid
        and before in (PledgeStatus.PENDING, PledgeStatus.EXPIRED)
        and after in (PledgeStatus.PAST_DUE, PledgeStatus.CANCELLED)
    ):
        waiting = PledgeStatus.PROCESSING
        return [*transition_path(before, waiting), *transition_path(waiting, after)]
    return transition_path(before, after)


def expire_abandoned_pledges(session: Session, *, now: datetime.datetime, limit: int = 100) -> int:
    """Expire pending pledges older than `CHECKOUT_TTL`, the oldest first; return how many."""
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
