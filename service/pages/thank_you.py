"""The pages after a checkout: the pledge's current status, and the one for a reader who did not pay."""

import secrets
import uuid
from urllib.parse import quote

from flask import Blueprint, Response, redirect, request
from markupsafe import Markup, escape
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from schemas.enums import Frequency, PledgeStatus, ReminderStatus
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.domain.campaigns.amounts import smaller_monthly_amount
from service.domain.email.addresses import mask_address
from service.domain.email.capabilities import is_supported_address
from service.domain.errors import DomainError, PledgeNotFound
from service.domain.money import Money, format_money
from service.domain.notifications.receipt_delivery import receipt_delivery
from service.domain.pledges.attribution import attribution_token_for
from service.domain.pledges.checkout import create_pledge_checkout
from service.domain.pledges.links import is_return_token
from service.domain.pledges.pledges import CreatePledge, get_pledge, is_bounced, total_charge
from service.domain.pledges.queries import other_recurring_pledge, payments_for, pledges_for_supporter
from service.domain.pledges.renewals import SANDBOX_GATEWAY, next_payment_on
from service.domain.pledges.return_urls import source_page_url, success_url
from service.domain.pledges.subscriptions import is_recurring_active
from service.domain.supporters import get_address
from service.pages.account_view import format_campaign_date
from service.pages.formatting import format_day, format_pledge
from service.pages.gateway_redirect import custom_origin, gateway_origins, redirect_to_gateway
from service.pages.rendering import render_page
from service.pages.session_cookie import current_supporter_id
from service.pages.translations import Texts, texts_for_campaign
from service.web import (
    check_campaign_rate_limit,
    check_rate_limit,
    current_client,
    current_container,
    read_only,
)

# A pledge in one of these gets thanks; every other status has its own text.
PAID_STATUSES = (PledgeStatus.COMPLETED, PledgeStatus.ACTIVE, PledgeStatus.PAST_DUE)

# The page reloads itself while the gateway confirms a payment, at this interval and at most so often.
REFRESH_SECONDS = 3
MAX_REFRESHES = 20
CONFIRMING = "confirming"
# The reader is still in the checkout, or it was closed unpaid.
UNPAID_STATUSES = (PledgeStatus.PENDING, PledgeStatus.EXPIRED)
VARIANT, GIVEN = "thank-you", "given"
MAX_KEY_LENGTH = 64

thank_you = Blueprint("thank_you", __name__)


@thank_you.get("/support/<slug>/thank-you")
def show_thank_you(slug: str) -> BaseResponse:
    """Show the status of the pledge in the query string.

    A reader may return from the checkout before the gateway's event arrives; the page then refreshes itself.

    Raises:
        PledgeNotFound: there is no such pledge in this campaign.
    """
    container = current_container()
    urls = container.urls
    with read_only() as session:
        pledge = _requested_pledge(session, slug)
        texts = texts_for_campaign(pledge.campaign, pledge.lang)
        is_checkout_done = request.args.get("checkout") == "done"
        token = request.args.get("link", "")
        is_payer = is_return_token(container.database.keyring, token, pledge, now=container.clock())
        token = token if is_payer else ""
        own_url = urls.thank_you_url(pledge.campaign, pledge.id, token)
        if (
            is_checkout_done
            and pledge.status in PAID_STATUSES
            and (next_url := success_url(pledge, urls, token)) != own_url
        ):
            return redirect(next_url, 303)
        return_url = urls.checkout_return_url(pledge.campaign, pledge.id, token)
        confirming = _confirming() if is_checkout_done and pledge.status == PledgeStatus.PENDING else None
        response = _render_status(
            session,
            pledge,
            texts,
            confirming or _state(pledge),
            is_payer=is_payer,
            url=return_url if confirming else own_url,
        )
        if confirming == CONFIRMING:
            next_url = f"{return_url}&looks={_refresh_count() + 1}&lang={texts.lang}"
            # The header works without JavaScript and is gone once the payment is confirmed.
            response.headers["Refresh"] = f"{REFRESH_SECONDS}; url={next_url}"
        return response


@thank_you.get("/support/<slug>/not-charged")
def show_not_charged(slug: str) -> BaseResponse:
    """Tell a reader who left the checkout that nothing was charged, and lead back.

    Raises:
        PledgeNotFound: there is no such pledge in this campaign.
    """
    urls = current_container().urls
    with read_only() as session:
        pledge = _requested_pledge(session, slug)
        if pledge.status not in UNPAID_STATUSES or is_bounced(pledge):
            return redirect(urls.thank_you_url(pledge.campaign, pledge.id), 303)
        texts = texts_for_campaign(pledge.campaign, pledge.lang)
        return render_page(
            "not_charged.html",
            texts,
            campaign=pledge.campaign,
            pledge_summary=format_pledge(texts, pledge.frequency, Money(pledge.amount_minor, pledge.currency)),
            new_pledge_url=_new_pledge_url(session, pledge, texts),
            source_page_url=source_page_url(pledge, urls),
        )


@thank_you.post("/support/<slug>/thank-you/monthly")
def create_monthly_pledge(slug: str) -> BaseResponse:
    """Start the checkout of a monthly pledge for a reader who has just given once.

    Raises:
        PledgeNotFound: there is no such pledge in this campaign.
    """
    check_rate_limit("pledge")
    container = current_container()
    with read_only() as session:
        pledge = _requested_pledge(session, slug)
        campaign, texts = pledge.campaign, texts_for_campaign(pledge.campaign, pledge.lang)
        money = _monthly_offer(session, pledge)
        reminder = attribution_token_for(session, container.database.keyring, pledge)
    if money is None:
        return redirect(container.urls.support_page_url(campaign, Frequency.MONTHLY, None), 303)
    check_campaign_rate_limit("pledge", campaign)
    payload = CreatePledge(
        campaign=slug,
        frequency=Frequency.MONTHLY,
        amount=money.amount_minor,
        currency=money.currency,
        page_url=pledge.page_url,
        variant=VARIANT,
        lang=texts.lang,
        reminder=reminder,
    )
    try:
        checkout = create_pledge_checkout(
            container.database.transaction,
            container.gateway,
            campaign,
            payload,
            # A second click leads to the same checkout.
            idempotency_key=f"monthly-{pledge.id}-{request.form.get('key', '')[:MAX_KEY_LENGTH]}",
            clock=container.clock,
            urls=container.urls,
            client=current_client(),
        )
    except DomainError:
        # The support page has the same choice, and says what is wrong if it is tried there.
        url = container.urls.support_page_url(
            campaign, Frequency.MONTHLY, money.amount_minor, currency=money.currency
        )
        return redirect(f"{url}&lang={texts.lang}", 303)
    container.checkout_origins.remember(checkout.checkout_url)
    return redirect_to_gateway(
        checkout.checkout_url, texts, campaign, allowed=request.form.get("allowed", custom_origin())
    )


def _render_status(
    session: Session, pledge: Pledge, texts: Texts, state: str, *, is_payer: bool, url: str
) -> Response:
    """Return the page in one of its states; `url` is its own. Only a payer sees where the receipt goes."""
    container = current_container()
    campaign, money = pledge.campaign, Money(pledge.amount_minor, pledge.currency)
    is_given = state == GIVEN
    monthly = _monthly_offer(session, pledge) if is_given else None
    article_url = source_page_url(pledge, container.urls)
    shared_url = article_url or container.urls.campaign_url(campaign)
    shared_text = texts.format("share_text", campaign=campaign.name)
    return render_page(
        "thank_you.html",
        texts,
        scripts=("pages.js",),
        form_targets=gateway_origins() if monthly else (),
        campaign=campaign,
        state=state,
        frequency=pledge.frequency.value,
        amount=format_money(money, texts.lang),
        pledge_summary=format_pledge(texts, pledge.frequency, money),
        current_url=url,
        new_pledge_url=_new_pledge_url(session, pledge, texts),
        other_pledge=_other_pledge(session, pledge, texts),
        source_page_url=article_url,
        has_no_email=_cannot_be_emailed(session, pledge),
        is_test=pledge.gateway == SANDBOX_GATEWAY,
        notes=_notes(session, pledge, texts, is_payer=is_payer) if is_given else [],
        monthly=None if monthly is None else format_pledge(texts, Frequency.MONTHLY, monthly),
        pledge_id=pledge.id,
        monthly_key=secrets.token_urlsafe(16),
        custom_origin=custom_origin(),
        shared_url=shared_url,
        shared_text=shared_text,
        mail_url=f"mailto:?subject={quote(campaign.name)}&body={quote(f'{shared_text} {shared_url}')}",
    )


def _notes(session: Session, pledge: Pledge, texts: Texts, *, is_payer: bool) -> list[str]:
    """Return what happens next: the receipt, the next payment, and reminders that are not needed any more."""
    container = current_container()
    notes: list[str] = []
    if is_payer and not _cannot_be_emailed(session, pledge):
        receipt = receipt_delivery(session, pledge, sandbox_recipients=container.settings.sandbox_recipients)
        if receipt is not None:
            name = "thanks_receipt_sent" if receipt.is_sent else "thanks_receipt_coming"
            address = Markup('<bdi class="whole">{}</bdi>').format(mask_address(receipt.address))
            notes.append(escape(texts[name]).format(address=address))
    paid = [found.payment.paid_at for found in payments_for(session, [pledge.id])[pledge.id] if found.has_receipt]
    next_on = next_payment_on(pledge, max(paid)) if paid else None
    if next_on is not None:
        total = format_money(total_charge(pledge), texts.lang)
        notes.append(
            texts.format("me_next_payment", amount=total, date=format_day(next_on, pledge.campaign, texts))
        )
    if (reminder := _reminder_note(session, pledge, texts, is_payer=is_payer)) is not None:
        notes.append(reminder)
    return notes


def _reminder_note(session: Session, pledge: Pledge, texts: Texts, *, is_payer: bool) -> str | None:
    """Return what happens to a reminder. Only the reader learns whether their address has one."""
    if pledge.supporter_id is None:
        return None
    known = session.get(Reminder, pledge.reminder_id) if pledge.reminder_id is not None else None
    if known is not None and known.supporter_id == pledge.supporter_id and known.status == ReminderStatus.SKIPPED:
        return texts.thanks_reminder_cancelled
    if not is_payer or not pledge.campaign.reminder_enabled:
        return None
    # In the sandbox they are skipped when they are due.
    is_test = pledge.gateway == SANDBOX_GATEWAY
    return texts.thanks_reminders_later if is_test else texts.thanks_reminders_cancelled


def _monthly_offer(session: Session, pledge: Pledge) -> Money | None:
    """Return the monthly amount for a reader who gave once; None if none fits, or if they give monthly already."""
    if pledge.frequency != Frequency.ONCE or pledge.status != PledgeStatus.COMPLETED:
        return None
    supporter_id = current_supporter_id(session)
    if supporter_id is not None and any(
        is_recurring_active(other) and other.campaign_id == pledge.campaign_id
        for other in pledges_for_supporter(session, supporter_id)
    ):
        return None
    limits = current_container().gateway.charge_limits(pledge.currency)
    return smaller_monthly_amount(pledge.campaign, Money(pledge.amount_minor, pledge.currency), limits=limits)


def _new_pledge_url(session: Session, pledge: Pledge, texts: Texts) -> str:
    """Return the support page with the same choice, in the language of the page."""
    container = current_container()
    url = container.urls.support_page_url(
        pledge.campaign,
        pledge.frequency,
        pledge.amount_minor,
        attribution_token_for(session, container.database.keyring, pledge),
        currency=pledge.currency,
    )
    return url if texts.lang == pledge.campaign.lang else f"{url}&lang={texts.lang}"


def _other_pledge(session: Session, pledge: Pledge, texts: Texts) -> str | None:
    """Return what the reader should know if they give twice; None for a one-time pledge.

    Anyone may pay with the address of another. Only a reader who is signed in sees what else they give.
    """
    if not is_recurring_active(pledge):
        return None
    if pledge.supporter_id is None or current_supporter_id(session) != pledge.supporter_id:
        return texts.thanks_gives_already
    other = other_recurring_pledge(pledge, pledges_for_supporter(session, pledge.supporter_id))
    if other is None:
        return None
    return texts.format(
        "thanks_gives_twice",
        gift=format_pledge(texts, other.frequency, Money(other.amount_minor, other.currency)),
        date=format_campaign_date(other.created_at, other, texts),
    )


def _cannot_be_emailed(session: Session, pledge: Pledge) -> bool:
    """Whether our mail server cannot send to the address that was given at the checkout, which we do not show."""
    address = None if pledge.supporter_id is None else get_address(session, pledge.supporter_id)
    server = current_container().settings.mail.server_address
    return address is not None and not is_supported_address(session, address, server=server)


def _state(pledge: Pledge) -> str:
    """Return which text the page shows: the status, or `given` for one that is paid."""
    if pledge.status in PAID_STATUSES:
        return GIVEN
    return "bounced" if is_bounced(pledge) else pledge.status.value


def _confirming() -> str:
    """Return the page's state while the payment is confirmed; `confirming_long` after the last refresh."""
    return CONFIRMING if _refresh_count() < MAX_REFRESHES else f"{CONFIRMING}_long"


def _refresh_count() -> int:
    """Return how often the page has refreshed itself, at most `MAX_REFRESHES`."""
    count = request.args.get("looks", "")
    return min(int(count), MAX_REFRESHES) if count.isascii() and count.isdigit() and len(count) < 4 else 0


def _requested_pledge(session: Session, slug: str) -> Pledge:
    pledge = get_pledge(session, _pledge_id())
    if pledge.campaign.slug != slug:
        raise PledgeNotFound("There is no pledge with this id.")
    return pledge


def _pledge_id() -> uuid.UUID:
    try:
        return uuid.UUID(request.args.get("pledge", ""))
    except ValueError as error:
        raise PledgeNotFound("There is no pledge with this id.") from error
