"""How a notice moves: one table of where it stands × what happened → where it stands next."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from schemas.vocabulary import NotificationStatus
from service.db.notice import Notice
from service.domain.errors import IllegalMove


class NoticeEvent(StrEnum):
    """What can happen to a notice, in the newsroom's words."""

    CLAIM = "claim"  # A worker takes it, with a lease, to send its mail.
    DELIVER = "deliver"  # The mail server took the mail.
    LOSE_LEASE = "lose_lease"  # The worker vanished, or was stopped and handed the notice back.
    RETRY = "retry"  # The mail server asked to try again later.
    FAIL = "fail"  # The mail can never be delivered, or every try is used up.
    SKIP = "skip"  # There is nobody to tell, or nothing to tell any more.
    SEND_BACK = "send_back"  # Staff mended the cause of a failure and want it tried again.


_CANNOT: Final[Mapping[NoticeEvent, str]] = {
    NoticeEvent.CLAIM: "be claimed",
    NoticeEvent.DELIVER: "be delivered",
    NoticeEvent.LOSE_LEASE: "be handed back",
    NoticeEvent.RETRY: "be retried",
    NoticeEvent.FAIL: "fail",
    NoticeEvent.SKIP: "be skipped",
    NoticeEvent.SEND_BACK: "be sent back",
}

MOVES: Final[Mapping[tuple[NotificationStatus, NoticeEvent], NotificationStatus]] = {
    (NotificationStatus.SCHEDULED, NoticeEvent.CLAIM): NotificationStatus.SENDING,
    (NotificationStatus.SENDING, NoticeEvent.DELIVER): NotificationStatus.SENT,
    (NotificationStatus.SENDING, NoticeEvent.LOSE_LEASE): NotificationStatus.SCHEDULED,
    (NotificationStatus.SENDING, NoticeEvent.RETRY): NotificationStatus.SCHEDULED,
    (NotificationStatus.SENDING, NoticeEvent.FAIL): NotificationStatus.FAILED,
    (NotificationStatus.SENDING, NoticeEvent.SKIP): NotificationStatus.SKIPPED,
    (NotificationStatus.FAILED, NoticeEvent.SEND_BACK): NotificationStatus.SCHEDULED,
}


def move(status: NotificationStatus, event: NoticeEvent) -> NotificationStatus:
    """Return where a notice stands after the event.

    Raises:
        IllegalMove: the event cannot happen to a notice that stands there.

    """
    try:
        return MOVES[status, event]
    except KeyError:
        raise IllegalMove(f"This notice is {status}, so it cannot {_CANNOT[event]}.") from None


def move_notice(notice: Notice, event: NoticeEvent, *, reason: str | None = None) -> None:
    """Move a notice by its table. A notice is one mail, so its own row is all the history that it has.

    Raises:
        IllegalMove: the notice cannot do this from where it stands.
    """
    notice.status = move(notice.status, event)
    notice.reason = reason
    if notice.status != NotificationStatus.SENDING:
        notice.leased_until = notice.leased_by = None
