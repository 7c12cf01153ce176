"""Puts the emails of due reminders into the outbox, and puts off those of closed campaigns."""

import threading

from service.container import Container
from service.domain.email.queue import postpone_emails_of_closed_campaigns
from service.domain.reminders.queue import enqueue_due_reminders

CLOSED_BATCH_SIZE = 1000


def enqueue_reminders(container: Container, stop: threading.Event) -> dict[str, int]:
    """Enqueue every reminder that is due, oldest first; return how many, and how many wait for the morning."""
    enqueued = postponed = 0
    while not stop.is_set():
        with container.database.transaction() as session:
            result = enqueue_due_reminders(
                session,
                now=container.clock(),
                respect_sending_hours=container.settings.mail.respect_sending_hours,
            )
        if not result.enqueued and not result.postponed:
            break
        enqueued, postponed = enqueued + result.enqueued, postponed + result.postponed
    while not stop.is_set():
        with container.database.transaction() as session:
            if not postpone_emails_of_closed_campaigns(session, now=container.clock(), limit=CLOSED_BATCH_SIZE):
                break
    return {"enqueued": enqueued, "postponed": postponed}
