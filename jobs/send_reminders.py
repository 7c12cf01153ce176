"""Sends the reminders that are due, over as many connections as the settings say."""

import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

from jobs.books import rules_of
from jobs.carrier import Carrier
from service.desk import Desk
from service.domain.mail.settling import return_lost_reminders
from service.domain.ports import MailServerRefusesUs

log = structlog.get_logger()


def send_reminders(desk: Desk, stop: threading.Event) -> Mapping[str, int] | None:
    """Send what is due, the longest due first; return how many reminders came to which end.

    None while a mail server that was away is left alone.

    Raises:
        MailServerAway, MailServerRefusesUs: no mail can leave; what was not sent waits, at no cost to it.
    """
    if not desk.breaker.lets_through(desk.clock()):
        return None
    counts = _take_up_what_a_broken_run_left(desk)
    carriers = [Carrier(desk, mailer, stop) for mailer in desk.mailers]
    with ThreadPoolExecutor(len(carriers), thread_name_prefix="carrier") as pool:
        runs = [pool.submit(carrier.run) for carrier in carriers]
    for carrier in carriers:
        counts.update(carrier.counts)
    if counts.total():
        log.info("reminders_carried", **{name: count for name, count in counts.items() if count})
    for run in runs:
        run.result()
    for trouble in (carrier.trouble for carrier in carriers):
        if trouble is not None:
            needs_somebody = isinstance(trouble, MailServerRefusesUs)
            desk.breaker.trip(desk.clock(), needs_somebody=needs_somebody)
            say = log.error if needs_somebody else log.warning
            say("mail_server_refuses_us" if needs_somebody else "mail_server_away", reason=str(trouble))
            raise trouble
    return counts


def _take_up_what_a_broken_run_left(desk: Desk) -> Counter[str]:
    """Settle what this worker holds although no run of it is under way, as after an error in the middle of one."""
    counts: Counter[str] = Counter()
    while True:
        with desk.database.transaction() as session:
            some = return_lost_reminders(session, rules=rules_of(desk), now=desk.clock(), worker=desk.worker_id)
        counts.update(some)
        if not some:
            return counts
