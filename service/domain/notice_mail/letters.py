"""Writing the letters for the notices that were claimed; what cannot be written or need not be told ends here."""

import datetime
from collections import Counter
from collections.abc import Sequence

from sqlalchemy.orm import Session

from schemas.vocabulary import DeliveryOutcome, SuppressionReason
from service.db.campaign import Campaign
from service.domain.links import Links
from service.domain.mail.drafts import EmailNotBuildable, PreparedEmails, decrypt_address, failure_reason
from service.domain.mail.tallies import increment_counters
from service.domain.notice_mail.cases import Case, read_cases, why_not
from service.domain.notice_mail.claims import NoticeClaim
from service.domain.notice_mail.contents import letter_about
from service.domain.notices.status import NoticeEvent, move_notice
from service.domain.ports import NotificationEmail
from service.domain.supporters import keyring_in
from service.domain.suppression import Recipient, find_suppressed

SUPPRESSED = "suppressed"
# Who wants no more appeals still gets a receipt for what they give, and a notice that the law asks for.
NO_HINDRANCE = (SuppressionReason.UNSUBSCRIBE,)
NoticeDrafts = PreparedEmails[NoticeClaim, NotificationEmail]


def write_notices(
    session: Session, claims: Sequence[NoticeClaim], *, links: Links, now: datetime.datetime
) -> NoticeDrafts:
    """Return the letters for these claims; one that was taken over or forgotten meanwhile has none.

    What need not be told any more, or has nobody to be told to, is skipped. A row that cannot be read or written
    is failed with a reason, and keeps no other from leaving. Links to sign in are made here.
    """
    prepared: NoticeDrafts = PreparedEmails([], Counter())
    held = {claim.notice_id: claim for claim in claims}
    whole: list[tuple[Case, Campaign, str]] = []
    for case in read_cases(session, held):
        try:
            if case.notice.outcome == DeliveryOutcome.ACCEPTED:
                # Its earlier worker came back and said so after all.
                _end(prepared, case, NoticeEvent.DELIVER, "sent")
            elif (reason := why_not(session, case, now=now)) is not None:
                _end(prepared, case, NoticeEvent.SKIP, "skipped", reason)
            else:
                whole.append((case, *_opened(session, case)))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row must not keep the others back
            _end(prepared, case, NoticeEvent.FAIL, "failed", failure_reason(error))
    suppressed = find_suppressed(
        session,
        [Recipient(case.notice.id, to, campaign.slug, case.notice.created_at) for case, campaign, to in whole],
        ignoring=NO_HINDRANCE,
    )
    for case, campaign, to in whole:
        why = suppressed.get(case.notice.id)
        if why is not None:
            _end(prepared, case, NoticeEvent.SKIP, "suppressed", f"{SUPPRESSED}: {why}")
            continue
        try:
            email = letter_about(session, case, campaign, to, links=links, now=now)
            prepared.emails.append((held[case.notice.id], email))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row must not keep the others back
            _end(prepared, case, NoticeEvent.FAIL, "failed", failure_reason(error))
    # Written before the tallies are held, which every worker waits for.
    session.flush()
    if prepared.finished:
        increment_counters(session, **prepared.finished)
    return prepared


def _end(prepared: NoticeDrafts, case: Case, event: NoticeEvent, counted: str, reason: str | None = None) -> None:
    move_notice(case.notice, event, reason=reason)
    prepared.finished[counted] += 1


def _opened(session: Session, case: Case) -> tuple[Campaign, str]:
    """Return the campaign and the reader's address.

    Raises:
        Unwritable: one of them is not there, or does not open.
    """
    if case.campaign is None:
        raise EmailNotBuildable("its campaign was deleted")
    if case.closed is None:
        raise EmailNotBuildable("its reader was deleted")
    return case.campaign, decrypt_address(case.closed, keyring_in(session))
