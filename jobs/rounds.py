"""One round of carriers: what a broken run left is taken up, then all that is due leaves over their lines."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog
from sqlalchemy.orm import Session

from jobs.books import C, L
from jobs.carrier import Carrier
from jobs.mail_events import MailEvents
from service.desk import Container
from service.domain.ports import ServerMisconfigured

log = structlog.get_logger()


def make_round(
    container: Container,
    carriers: Sequence[Carrier[C, L]],
    *,
    events: MailEvents,
    take_up: Callable[[Session], Counter[str]],
) -> Mapping[str, int] | None:
    """Send what is due, the longest due first; return how many mails came to which end.

    None while a mail server that was away is left alone. `take_up` settles some of what this worker holds although
    no run of it is under way, as after an error in the middle of one.

    Raises:
        ServerUnavailable, ServerMisconfigured: no mail can leave; what was not sent waits, at no cost to it.
    """
    if not container.smtp_breaker.lets_through(container.clock()):
        return None
    counts: Counter[str] = Counter()
    while True:
        with container.database.transaction() as session:
            some = take_up(session)
        counts.update(some)
        if not some:
            break
    with ThreadPoolExecutor(len(carriers), thread_name_prefix="carrier") as pool:
        runs = [pool.submit(carrier.run) for carrier in carriers]
    for carrier in carriers:
        counts.update(carrier.counts)
    if counts.total():
        log.info(events.carried, **{name: count for name, count in counts.items() if count})
    for run in runs:
        run.result()
    for trouble in (carrier.trouble for carrier in carriers):
        if trouble is not None:
            needs_somebody = isinstance(trouble, ServerMisconfigured)
            container.smtp_breaker.trip(container.clock(), needs_somebody=needs_somebody)
            say = log.error if needs_somebody else log.warning
            say("mail_server_refuses_us" if needs_somebody else "mail_server_away", reason=str(trouble))
            raise trouble
    return counts
