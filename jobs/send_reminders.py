"""Sends the reminders that are due, over as many connections as the settings say."""

import threading
from collections import Counter
from collections.abc import Mapping

from sqlalchemy.orm import Session

from jobs.carrier import Carrier
from jobs.mail_events import REMINDERS
from jobs.reminder_books import ReminderBooks, rules_of
from jobs.rounds import make_round
from service.desk import Container
from service.domain.mail.settling import return_lost_reminders


def send_reminders(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Send what is due, the longest due first; return how many reminders came to which end.

    None while a mail server that was away is left alone.

    Raises:
        ServerUnavailable, ServerMisconfigured: no mail can leave; what was not sent waits, at no cost to it.
    """

    def take_up(session: Session) -> Counter[str]:
        return return_lost_reminders(
            session, rules=rules_of(container), now=container.clock(), worker=container.worker_id
        )

    carriers = [
        Carrier(container, mailer, ReminderBooks(container, stop), stop) for mailer in container.reminder_mailers
    ]
    return make_round(container, carriers, events=REMINDERS, take_up=take_up)
