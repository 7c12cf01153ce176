"""Sends the reminders that are due, over as many connections as the settings say."""

import threading
from collections import Counter
from collections.abc import Mapping

from sqlalchemy.orm import Session

from jobs.carrier import EmailDispatcher
from jobs.mail_events import REMINDER_LOG_EVENTS
from jobs.reminder_books import ReminderQueue, delivery_policy
from jobs.rounds import run_dispatchers
from service.container import Container
from service.domain.reminders.delivery import recover_expired_leases


def send_reminders(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Send what is due, the longest due first; return how many reminders came to which end.

    None while a mail server that was away is left alone.

    Raises:
        ServerUnavailable, ServerMisconfigured: no mail can leave; what was not sent waits, at no cost to it.
    """

    def take_up(session: Session) -> Counter[str]:
        return recover_expired_leases(
            session, rules=delivery_policy(container), now=container.clock(), worker=container.worker_id
        )

    dispatchers = [
        EmailDispatcher(container, mailer, ReminderQueue(container, stop), stop)
        for mailer in container.reminder_mailers
    ]
    return run_dispatchers(container, dispatchers, events=REMINDER_LOG_EVENTS, recover_own_leases=take_up)
