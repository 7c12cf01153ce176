"""One round of carriers: what a broken run left is taken up, then all that is due leaves over their lines."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog
from sqlalchemy.orm import Session

from jobs.books import ClaimT, EmailT
from jobs.carrier import EmailDispatcher
from jobs.mail_events import EmailLogEvents
from service.container import Container
from service.domain.ports import ServerMisconfigured

log = structlog.get_logger()


def run_dispatchers(
    container: Container,
    dispatchers: Sequence[EmailDispatcher[ClaimT, EmailT]],
    *,
    events: EmailLogEvents,
    recover_own_leases: Callable[[Session], Counter[str]],
) -> Mapping[str, int] | None:
    """Send what is due, the longest due first; return how many mails came to which end.

    None while a mail server that was away is left alone. `recover_own_leases` settles some of what this worker
    holds although
    no run of it is under way, as after an error in the middle of one.

    Raises:
        ServerUnavailable, ServerMisconfigured: no mail can leave; what was not sent waits, at no cost to it.
    """
    if not container.smtp_breaker.allows_request(container.clock()):
        return None
    counts: Counter[str] = Counter()
    while True:
        with container.database.transaction() as session:
            some = recover_own_leases(session)
        counts.update(some)
        if not some:
            break
    with ThreadPoolExecutor(len(dispatchers), thread_name_prefix="carrier") as pool:
        runs = [pool.submit(dispatcher.run) for dispatcher in dispatchers]
    for dispatcher in dispatchers:
        counts.update(dispatcher.counts)
    if counts.total():
        log.info(events.batch_sent, **{name: count for name, count in counts.items() if count})
    for run in runs:
        run.result()
    for trouble in (dispatcher.server_error for dispatcher in dispatchers):
        if trouble is not None:
            needs_operator = isinstance(trouble, ServerMisconfigured)
            container.smtp_breaker.record_failure(container.clock(), needs_operator=needs_operator)
            say = log.error if needs_operator else log.warning
            say("mail_server_refuses_us" if needs_operator else "mail_server_away", reason=str(trouble))
            raise trouble
    return counts
