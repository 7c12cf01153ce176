"""Builds the emails of claimed reminders, a batch at a time, and tells which are not to be sent."""

import datetime
import re
import uuid
from collections.abc import Sequence
from functools import cache, partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import LargeBinary, Row, func, select, type_coerce
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, EmailStatus, PledgeStatus
from service.db.arrays import is_one_of
from service.db.keyring import Keyring
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail, status_is
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.db.session import session_keyring
from service.domain.campaigns.brand import email_brand
from service.domain.campaigns.definitions import text_overrides
from service.domain.campaigns.origins import is_newsroom_page
from service.domain.email.queue import EmailClaim
from service.domain.email.rendering import (
    EmailNotBuildable,
    PreparedEmails,
    UnknownAddressKey,
    UnsentEmail,
    decrypt_address,
)
from service.domain.email.status import EmailEvent
from service.domain.email.suppression import Recipient, find_suppressed
from service.domain.ledger.totals import RETAINED_STATUSES
from service.domain.pledges.attribution import attribution_token
from service.domain.pledges.renewals import SANDBOX_GATEWAY
from service.domain.ports import PaymentGateway, ReminderEmail
from service.domain.reminders.reminders import chargeable_preference
from service.domain.reminders.schedule import conversion_window_start, offered_interval
from service.domain.reminders.self_service import reminder_token
from service.domain.urls import UrlBuilder

ALREADY_PLEDGED = "already_gave"
SUPPRESSED = "suppressed"
# What email programs turn into a link, as they do with a bare "site.example", and the marks that could spell one
# backwards.
_LINK = re.compile(r"://|[^\W_]\.[^\W\d_]{2,}|@[^\s@]+\.|[\u202a-\u202e\u2066-\u2069]")


def build_reminder_emails(
    session: Session,
    claims: Sequence[EmailClaim],
    prepared: PreparedEmails,
    *,
    urls: UrlBuilder,
    now: datetime.datetime,
    month_seconds: int | None = None,
    gateway: PaymentGateway | None = None,
) -> None:
    """Add the emails for these claims to `prepared`, without those whose lease was lost meanwhile.

    A reminder is skipped if its supporter has paid since the request, or is suppressed. One whose row cannot be
    read or rendered fails with a reason, and does not affect the others. The emails offer what the campaign offers
    today, and what the `gateway`, if given, can charge.
    """
    sendable: list[tuple[EmailClaim, Any, Campaign, str]] = []
    for claim, email, reminder, campaign in _load_claimed(session, claims):
        try:
            if email.outcome == DeliveryOutcome.ACCEPTED:
                # An earlier worker recorded the acceptance after its lease had expired.
                prepared.unsent.append(UnsentEmail(claim, EmailEvent.DELIVER, None, "sent"))
            else:
                sendable.append((claim, reminder, *_decrypt(session, campaign, reminder.encrypted)))
        except UnknownAddressKey:
            prepared.wait_for_key(claim, email.reason, now=now)
        except EmailNotBuildable as error:
            prepared.fail(claim, error)
    suppressed = find_suppressed(
        session,
        [Recipient(reminder.id, to, campaign.slug, reminder.asked_at) for _, reminder, campaign, to in sendable],
    )
    counts_sandbox = gateway is None or gateway.name == SANDBOX_GATEWAY
    paid_at = _last_payment_dates(
        session, {reminder.supporter_id for _, reminder, _, _ in sendable}, counts_sandbox=counts_sandbox
    )
    builder = _EmailBuilder(session_keyring(session), urls, gateway)
    for claim, reminder, campaign, to in sendable:
        try:
            if reminder.id in suppressed:
                prepared.skip(claim, f"{SUPPRESSED}: {suppressed[reminder.id]}", is_suppressed=True)
            elif _already_pledged(reminder, campaign, paid_at.get(reminder.supporter_id), month_seconds):
                prepared.skip(claim, ALREADY_PLEDGED)
            else:
                prepared.emails.append((claim, builder.build(reminder, campaign, to)))
        except Exception as error:  # noqa: BLE001 - one bad row must not stop the batch
            prepared.fail(claim, error)


def _load_claimed(
    session: Session, claims: Sequence[EmailClaim]
) -> list[tuple[EmailClaim, Row[*tuple[Any, ...]], Any, Campaign | None]]:
    """Return each claim that is still held with its email, its reminder as a row, and the campaign."""
    # The address is read undecrypted, so that one that cannot be decrypted does not fail the query for the batch.
    # A campaign that was deleted past the constraint must fail its own reminders only.
    email_ids = [claim.email_id for claim in claims]
    rows = session.execute(
        select(
            OutgoingEmail.id,
            OutgoingEmail.lease_number,
            OutgoingEmail.outcome,
            OutgoingEmail.reason,
            OutgoingEmail.reminder_id,
        ).where(is_one_of(session, OutgoingEmail.id, email_ids), status_is(EmailStatus.SENDING))
    )
    emails = {row.id: row for row in rows}
    # Rows and not entities, which would take as long to create as all else that is done here.
    found = session.execute(
        select(Reminder.__table__, type_coerce(Supporter.email, LargeBinary).label("encrypted"))
        .outerjoin(Supporter, Supporter.id == Reminder.supporter_id)
        .where(is_one_of(session, Reminder.id, [email.reminder_id for email in emails.values()]))
    )
    reminders = {row.id: row for row in found}
    # Each campaign is read once, and not with each of its reminders.
    campaign_ids = {row.campaign_id for row in reminders.values()}
    campaigns = {
        campaign.id: campaign
        for campaign in session.scalars(select(Campaign).where(Campaign.id.in_(campaign_ids)))
    }
    claimed = []
    for claim in claims:
        email = emails.get(claim.email_id)
        reminder = None if email is None else reminders.get(email.reminder_id)
        if email is not None and reminder is not None and email.lease_number == claim.lease_number:
            claimed.append((claim, email, reminder, campaigns.get(reminder.campaign_id)))
    return claimed


def _decrypt(session: Session, campaign: Campaign | None, encrypted: bytes | None) -> tuple[Campaign, str]:
    """Return the campaign and the decrypted address.

    Raises:
        EmailNotBuildable: one of them is missing, or the address was damaged.
        UnknownAddressKey: this process lacks the key of the address.
    """
    if campaign is None:
        raise EmailNotBuildable("its campaign was deleted")
    if encrypted is None:
        raise EmailNotBuildable("its reader was deleted")
    return campaign, decrypt_address(encrypted, session_keyring(session))


def _last_payment_dates(
    session: Session, supporter_ids: set[uuid.UUID], *, counts_sandbox: bool
) -> dict[uuid.UUID, datetime.datetime]:
    """Return the time of the latest payment of each supporter who has one; one on its way counts as made.

    Once real money is taken, what was given in the sandbox does not count.
    """
    paid = (
        select(Pledge.supporter_id, func.max(Payment.paid_at))
        .join(Payment, Payment.pledge_id == Pledge.id)
        .where(
            is_one_of(session, Pledge.supporter_id, supporter_ids),
            Payment.status.in_(RETAINED_STATUSES),
            *([] if counts_sandbox else [Pledge.gateway != SANDBOX_GATEWAY]),
        )
        .group_by(Pledge.supporter_id)
    )
    on_their_way = (
        select(Pledge.supporter_id, func.max(func.coalesce(Pledge.checkout_completed_at, Pledge.created_at)))
        .where(is_one_of(session, Pledge.supporter_id, supporter_ids), Pledge.status == PledgeStatus.PROCESSING)
        .group_by(Pledge.supporter_id)
    )
    dates: dict[uuid.UUID, datetime.datetime] = {}
    for query in (paid, on_their_way):
        for supporter_id, at in session.execute(query):
            if supporter_id is not None:
                dates[supporter_id] = max(at, dates.get(supporter_id, at))
    return dates


def _already_pledged(
    reminder: Any, campaign: Campaign, paid_at: datetime.datetime | None, month_seconds: int | None
) -> bool:
    if paid_at is None or reminder.awaits_confirmation:
        return False
    return paid_at >= conversion_window_start(reminder, campaign, month_seconds=month_seconds)


class _EmailBuilder:
    """Builds the emails of a batch. What many of its reminders share, such as the brand, it works out once."""

    def __init__(self, keyring: Keyring, urls: UrlBuilder, gateway: PaymentGateway | None) -> None:
        self._keyring = keyring
        self._urls = urls
        self._brand = cache(partial(email_brand, urls=urls))
        self._offered = cache(partial(chargeable_preference, gateway=gateway))

    def build(self, reminder: Any, campaign: Campaign, address: str) -> ReminderEmail:
        """Return the email of a reminder."""
        urls = self._urls
        texts = text_overrides(campaign, reminder.lang)
        preference = self._offered(campaign, reminder.frequency, reminder.amount_minor, reminder.currency)
        amount = preference.money
        every_months = offered_interval(campaign, reminder.every_months)
        token = reminder_token(self._keyring, reminder)
        page_url = _displayable_page_url(campaign, reminder.page_url, urls)
        return ReminderEmail(
            message_id=f"<reminder-{reminder.id}-{reminder.occurrence}@{urls.host}>",
            to=address,
            lang=reminder.lang,
            campaign_name=campaign.name,
            campaign_heading=texts.get("heading", campaign.heading),
            texts=texts,
            requested_on=reminder.asked_at.astimezone(ZoneInfo(reminder.timezone)).date(),
            requested_from=page_url,
            page_title=None if page_url is None else _displayable_title(reminder.page_title),
            frequency=preference.frequency,
            money=amount,
            give_url=urls.support_page_url(
                campaign,
                preference.frequency,
                amount.amount_minor if amount else None,
                reminder_token=attribution_token(self._keyring, reminder),
                currency=amount.currency if amount else None,
            ),
            manage_url=urls.manage_reminder_url(token),
            cancel_url=urls.unsubscribe_url(token),
            account_url=urls.account_url(),
            brand=self._brand(campaign),
            campaign_lang=campaign.lang,
            every_months=every_months,
            offer_changes=preference.changes,
            can_be_moved=campaign.reminder_enabled,
            is_last=reminder.every_months is not None and every_months is None,
            is_confirmation_request=reminder.awaits_confirmation,
        )


def _displayable_page_url(campaign: Campaign, page_url: str | None, urls: UrlBuilder) -> str | None:
    """Return the page of the request, if it is the newsroom's or ours; a support page is no page to go back to."""
    if page_url is None:
        return None
    if not page_url.isprintable():
        raise EmailNotBuildable("the address of its page holds control characters")
    if page_url.startswith(urls.support_page_url(campaign, None, None)):
        return None
    return page_url if is_newsroom_page(campaign, page_url, own=urls.public_url) else None


def _displayable_title(title: str | None) -> str | None:
    """Return the title of the page, unless it could pass for a link: anyone can send one with a sign-up."""
    return None if title is None or _LINK.search(title) else title
