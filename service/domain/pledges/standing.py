"""Moving a pledge to where it stands by all that is known of it, step by step through its table of moves."""

import datetime

from sqlalchemy.orm import Session

from schemas.enums import PledgeStatus
from service.db.models.pledge import Pledge
from service.domain.ledger.standing import derive_pledge_status, load_pledge_facts
from service.domain.pledges.making import transition_pledge
from service.domain.pledges.notes import enqueue_cancellation
from service.domain.pledges.status import TRANSITIONS, PledgeEvent, transition_path


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
