"""Sends the reminders that are due, a small batch at a time, until none is left or the worker is told to stop."""

import threading
from collections.abc import Callable

import structlog
from sqlalchemy import exc
from sqlalchemy.orm import Session

from service.desk import Desk
from service.domain.deliveries import (
    Claim,
    claim_due_reminders,
    hand_back,
    record_delay,
    record_failure,
    record_sent,
    write_letter,
)
from service.domain.errors import LeaseLost
from service.domain.ports import MailDelayed, MailRefused

BATCH = 20

log = structlog.get_logger()


def send_reminders(desk: Desk, stop: threading.Event) -> None:
    """Send what is due, the longest due first."""
    try:
        while not stop.is_set():
            with desk.database.transaction() as session:
                claims = claim_due_reminders(session, now=desk.clock(), limit=BATCH)
            if not claims:
                return
            for claim in claims:
                if stop.is_set():
                    _record(desk, claim, lambda session, claim: hand_back(session, claim, now=desk.clock()))
                else:
                    _send_one(desk, claim)
    finally:
        desk.mailer.close()


def _send_one(desk: Desk, claim: Claim) -> None:
    """Send one reminder between two transactions; whatever is wrong with it stays with it."""
    try:
        with desk.database.transaction() as session:
            letter = write_letter(session, claim, links=desk.links, now=desk.clock())
        if letter is None:
            log.info("reminder_skipped", reminder=str(claim.reminder_id))
            return
        desk.mailer.send(letter)
    except LeaseLost:
        log.info("reminder_lease_lost", reminder=str(claim.reminder_id))
    except MailDelayed as error:
        log.warning("reminder_delayed", reminder=str(claim.reminder_id), reason=str(error))
        reason = str(error)
        _record(desk, claim, lambda session, claim: record_delay(session, claim, reason=reason, now=desk.clock()))
    except MailRefused as error:
        log.warning("reminder_refused", reminder=str(claim.reminder_id), reason=str(error))
        reason = str(error)
        _record(
            desk, claim, lambda session, claim: record_failure(session, claim, reason=reason, now=desk.clock())
        )
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError):
        # The database does not answer, which is no fault of this reminder; its lease ends by itself.
        raise
    except Exception as error:
        # One row that cannot be read, written or rendered must not keep the others from leaving.
        log.exception("reminder_failed", reminder=str(claim.reminder_id))
        reason = f"could not be written ({type(error).__name__})"
        _record(
            desk, claim, lambda session, claim: record_failure(session, claim, reason=reason, now=desk.clock())
        )
    else:
        log.info("reminder_sent", reminder=str(claim.reminder_id))
        _record(desk, claim, lambda session, claim: record_sent(session, claim, now=desk.clock()))


def _record(desk: Desk, claim: Claim, write: Callable[[Session, Claim], None]) -> None:
    """Write down what became of a claim, unless it is someone else's by now."""
    try:
        with desk.database.transaction() as session:
            write(session, claim)
    except LeaseLost:
        log.info("reminder_lease_lost", reminder=str(claim.reminder_id))
