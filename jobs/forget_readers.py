"""Deletes what need not be known of readers any more: reminders that are over or that nobody wanted, old mails."""

import threading

import structlog

from service.desk import Desk
from service.domain.keeping.retention import (
    forget_finished_reminders,
    forget_kept_mails,
    forget_unconfirmed_reminders,
)

log = structlog.get_logger()


def forget_readers(desk: Desk, stop: threading.Event) -> dict[str, int]:
    """Delete it all, a batch at a time."""
    counts = {"reminders": 0, "supporters": 0, "mails": 0}
    for forget in (forget_unconfirmed_reminders, forget_finished_reminders):
        while not stop.is_set():
            with desk.database.transaction() as session:
                forgotten = forget(session, now=desk.clock())
            if forgotten is None:
                break
            log.info("readers_forgotten", reminders=forgotten.reminders, supporters=forgotten.supporters)
            counts["reminders"] += forgotten.reminders
            counts["supporters"] += forgotten.supporters
    while not stop.is_set():
        with desk.database.transaction() as session:
            mails = forget_kept_mails(session, now=desk.clock())
        if not mails:
            break
        log.info("kept_mails_forgotten", count=mails)
        counts["mails"] += mails
    return counts
