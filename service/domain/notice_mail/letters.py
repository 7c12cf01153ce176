"""Writing the letters for the notices that were claimed; what cannot be written or need not be told ends here."""

import datetime
from collections import Counter
from collections.abc import Sequence

from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, SuppressionReason
from service.db.models.campaign import Campaign
from service.domain.links import UrlBuilder
from service.domain.mail.drafts import EmailNotBuildable, PreparedEmails, decrypt_address, failure_reason
from service.domain.mail.tallies import increment_counters
from service.domain.notice_mail.cases import NotificationContext, load_contexts, skip_reason
from service.domain.notice_mail.claims import NotificationClaim
from service.domain.notice_mail.contents import build_notification_email
from service.domain.notices.status import NotificationEvent, transition_notification
from service.domain.ports import NotificationEmail
from service.domain.supporters import session_keyring
from service.domain.suppression import Recipient, find_suppressed

SUPPRESSED = "suppressed"
# Who wants no more appeals still gets a receipt for what they give, and a notice that the law asks for.
IGNORED_SUPPRESSIONS = (SuppressionReason.UNSUBSCRIBE,)
PreparedNotifications = PreparedEmails[NotificationClaim, NotificationEmail]


def build_notification_emails(
    session: Session, claims: Sequence[NotificationClaim], *, links: UrlBuilder, now: datetime.datetime
) -> PreparedNotifications:
    """Return the letters for these claims; one that was taken over or forgotten meanwhile has none.

    What need not be told any more, or has nobody to be told to, is skipped. A row that cannot be read or written
    is failed with a reason, and keeps no other from leaving. Links to sign in are made here.
    """
    prepared: PreparedNotifications = PreparedEmails([], Counter())
    held = {claim.notification_id: claim for claim in claims}
    whole: list[tuple[NotificationContext, Campaign, str]] = []
    for case in load_contexts(session, held):
        try:
            if case.notification.outcome == DeliveryOutcome.ACCEPTED:
                # Its earlier worker came back and said so after all.
                _finish_without_sending(prepared, case, NotificationEvent.DELIVER, "sent")
            elif (reason := skip_reason(session, case, now=now)) is not None:
                _finish_without_sending(prepared, case, NotificationEvent.SKIP, "skipped", reason)
            else:
                whole.append((case, *_decrypt(session, case)))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row must not keep the others back
            _finish_without_sending(prepared, case, NotificationEvent.FAIL, "failed", failure_reason(error))
    suppressed = find_suppressed(
        session,
        [
            Recipient(case.notification.id, to, campaign.slug, case.notification.created_at)
            for case, campaign, to in whole
        ],
        ignoring=IGNORED_SUPPRESSIONS,
    )
    for case, campaign, to in whole:
        why = suppressed.get(case.notification.id)
        if why is not None:
            _finish_without_sending(prepared, case, NotificationEvent.SKIP, "suppressed", f"{SUPPRESSED}: {why}")
            continue
        try:
            email = build_notification_email(session, case, campaign, to, links=links, now=now)
            prepared.emails.append((held[case.notification.id], email))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row must not keep the others back
            _finish_without_sending(prepared, case, NotificationEvent.FAIL, "failed", failure_reason(error))
    # Written before the tallies are held, which every worker waits for.
    session.flush()
    if prepared.finished:
        increment_counters(session, **prepared.finished)
    return prepared


def _finish_without_sending(
    prepared: PreparedNotifications,
    case: NotificationContext,
    event: NotificationEvent,
    counted: str,
    reason: str | None = None,
) -> None:
    transition_notification(case.notification, event, reason=reason)
    prepared.finished[counted] += 1


def _decrypt(session: Session, case: NotificationContext) -> tuple[Campaign, str]:
    """Return the campaign and the reader's address.

    Raises:
        Unwritable: one of them is not there, or does not open.
    """
    if case.campaign is None:
        raise EmailNotBuildable("its campaign was deleted")
    if case.encrypted_email is None:
        raise EmailNotBuildable("its reader was deleted")
    return case.campaign, decrypt_address(case.encrypted_email, session_keyring(session))
