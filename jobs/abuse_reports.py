"""Reads abuse reports from a mailbox, and suppresses the readers who complained."""

import threading
from contextlib import closing

import structlog

from service.container import Container
from service.domain.ports import MailboxRefused, MailboxUnavailable
from service.domain.reminders.complaints import apply_abuse_report

log = structlog.get_logger()


def read_abuse_reports(container: Container, stop: threading.Event) -> dict[str, int] | None:
    """Apply the unread reports of the mailbox, if there is one.

    A message is marked as read after its commit, so that after a crash it is read once more and not lost.
    """
    if container.report_mailbox is None:
        return None
    counts = {"messages": 0, "complaints": 0, "unknown": 0}
    try:
        with closing(container.report_mailbox.unread_messages()) as messages:
            for message in messages:
                if message.report is not None:
                    with container.database.transaction() as session:
                        is_ours = apply_abuse_report(session, message.report, now=container.clock())
                    counts["complaints" if is_ours else "unknown"] += 1
                message.mark_read()
                counts["messages"] += 1
                if stop.is_set():
                    break
    except MailboxRefused as error:
        log.error("report_mailbox_refuses_us", reason=str(error))  # noqa: TRY400 - a traceback adds nothing
    except MailboxUnavailable as error:
        log.warning("report_mailbox_away", reason=str(error))
    if counts["messages"]:
        log.info("abuse_reports_read", **counts)
    return counts
