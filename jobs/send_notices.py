"""Sends receipts, links to sign in and the other notices, over a connection that waits for no reminder."""

import threading
from collections import Counter
from collections.abc import Mapping

import structlog
from sqlalchemy.orm import Session

from jobs.carrier import Carrier
from jobs.mail_events import NOTICES
from jobs.notice_books import NoticeBooks
from jobs.rounds import make_round
from service.desk import Container
from service.domain.notice_mail.settling import return_lost_notices as settle_lost

log = structlog.get_logger()


def send_notices(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Send what is due, links to sign in first; return how many notices came to which end.

    None while a mail server that was away is left alone.

    Raises:
        ServerUnavailable, ServerMisconfigured: no mail can leave; what was not sent waits, at no cost to it.
    """
    holds_doubtful = container.settings.mail.holds_doubtful

    def take_up(session: Session) -> Counter[str]:
        return settle_lost(
            session, holds_doubtful=holds_doubtful, now=container.clock(), worker=container.worker_id
        )

    carrier = Carrier(container, container.notification_mailer, NoticeBooks(container, stop), stop)
    return make_round(container, [carrier], events=NOTICES, take_up=take_up)


def return_lost_notices(container: Container, stop: threading.Event) -> Mapping[str, int]:
    """Settle every notice whose worker vanished, by what is on record of it; return how many came to which end."""
    counts: Counter[str] = Counter()
    while not stop.is_set():
        with container.database.transaction() as session:
            some = settle_lost(
                session, holds_doubtful=container.settings.mail.holds_doubtful, now=container.clock()
            )
        if not some:
            break
        counts.update(some)
    if counts:
        log.warning("lost_notices_returned", **counts)
    return counts
