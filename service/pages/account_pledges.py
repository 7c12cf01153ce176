"""The account pages of one pledge: show it, change its amount or card, and cancel it."""

import uuid

from flask import Response, request
from werkzeug.wrappers import Response as BaseResponse

from schemas.enums import PledgeStatus
from service.domain.campaigns.definitions import offers_reminders
from service.domain.errors import DomainError, InvalidTransition, PaymentsRescheduled, PaymentsUnavailable
from service.domain.pledges import subscriptions
from service.domain.pledges.attribution import giver_token
from service.domain.pledges.customers import pledges_with_same_supporter
from service.domain.pledges.pauses import is_pausable
from service.domain.pledges.queries import payments_for
from service.domain.reminders.reminders import create_supporter_reminder
from service.pages.account import success_message
from service.pages.account_context import (
    PledgeContext,
    load_context,
    load_pledge_context,
    pledge_blueprint,
    render_gateway_error,
    route_for_account_and_link,
    submitted_frequency,
)
from service.pages.account_view import build_pledge_card, format_pledge_summary
from service.pages.amount_form import (
    amount_error,
    has_unseen_total,
    render_amount_form,
    smaller_summary,
    submitted_amount,
)
from service.pages.form_errors import FieldError
from service.pages.gateway_redirect import gateway_origins, redirect_to_gateway
from service.pages.rendering import render_page
from service.web import current_container, read_only, transaction

REMINDER_DELAY_MONTHS = 3

account_pledges = pledge_blueprint("account_pledges")


@account_pledges.get("/p/<token>")
def show_pledge(token: str) -> Response:
    """Show a pledge to the holder of its link. The page has no email address on it."""
    container = current_container()
    with read_only() as session:
        context = load_pledge_context(session, None, token)
        payments = payments_for(session, [context.pledge.id])[context.pledge.id]
        card = build_pledge_card(
            context.pledge,
            payments,
            context.texts,
            base_url=context.base_url,
            receipts_url=context.receipts_url,
            supporter_pledges=pledges_with_same_supporter(session, context.pledge),
            renew_token=giver_token(container.database.keyring, context.pledge, now=container.clock()),
        )
        response = render_page(
            "account_pledge.html",
            context.texts,
            form_targets=gateway_origins(),
            campaign=context.pledge.campaign,
            pledge=card,
            success_message=success_message(context.texts),
        )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@route_for_account_and_link(account_pledges, "cancel", "GET")
def confirm_cancellation(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Ask for confirmation before a cancellation; offer a reminder with it, and a pause or a smaller amount."""
    context = load_context(pledge_id, token)
    if not subscriptions.is_recurring_active(context.pledge) or subscriptions.is_cancelling(context.pledge):
        return context.redirect_back()
    response = render_page(
        "cancel_pledge.html",
        context.texts,
        campaign=context.pledge.campaign,
        pledge_summary=format_pledge_summary(context.pledge, context.texts),
        base_url=context.base_url,
        return_url=context.return_url,
        current_path=request.path,
        offers_reminder=_may_remind(context),
        smaller_summary=smaller_summary(context),
        can_pause=is_pausable(context.pledge, now=current_container().clock()),
        has_transfer_on_its_way=context.pledge.status == PledgeStatus.PROCESSING,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@route_for_account_and_link(account_pledges, "cancel", "POST")
def cancel_pledge(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Cancel the pledge, and create a reminder if that button was pressed."""
    context, container = load_context(pledge_id, token), current_container()
    try:
        subscriptions.cancel_pledge(
            container.database.transaction, container.gateway, context.pledge.id, clock=container.clock
        )
    except InvalidTransition:
        return context.redirect_back()
    except PaymentsUnavailable as error:
        with read_only() as session:
            context = load_pledge_context(session, pledge_id, token)
        # A stored cancellation request is completed later, so the supporter need not try again.
        if not subscriptions.is_cancelling(context.pledge):
            return render_gateway_error(context, error, operation="cancel")
    except DomainError as error:
        return render_gateway_error(context, error, operation="cancel")
    if request.form.get("then") == "remind" and _may_remind(context):
        return context.redirect_back(done="reminded", due_on=_create_reminder(context))
    return context.redirect_back(done="ended" if not subscriptions.is_cancelling(context.pledge) else None)


@account_pledges.get("/me/pledges/<uuid:pledge_id>/amount")
@account_pledges.get("/p/<token>/amount")
def show_amount_form(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Show the form for a new amount, with its limits."""
    context = load_context(pledge_id, token)
    pledge = context.pledge
    if not subscriptions.is_recurring_active(pledge) or not subscriptions.may_change_amount(pledge):
        return context.redirect_back()
    return render_amount_form(context, pledge.frequency)


@account_pledges.post("/me/pledges/<uuid:pledge_id>/amount")
@account_pledges.post("/p/<token>/amount")
def change_amount(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Change the amount from the next payment on."""
    context, container = load_context(pledge_id, token), current_container()
    if not subscriptions.may_change_amount(context.pledge):
        return context.redirect_back()
    pledge, texts, amount_minor = context.pledge, context.texts, None
    try:
        amount_minor = submitted_amount(context)
        if amount_minor is None:
            missing = FieldError(field="amount", message=texts.me_amount_missing, status=422)
            return render_amount_form(context, pledge.frequency, field_error=missing)
        if has_unseen_total(context, pledge.frequency, amount_minor):
            return render_amount_form(context, pledge.frequency, unconfirmed=amount_minor)
        subscriptions.change_amount(
            container.database.transaction,
            container.gateway,
            pledge.id,
            amount_minor,
            frequency=submitted_frequency(),
            clock=container.clock,
            lang=texts.lang,
        )
    except PaymentsRescheduled:
        changed = FieldError(field="form", message=texts.me_schedule_changed, status=409)
        return render_amount_form(context, pledge.frequency, field_error=changed)
    except PaymentsUnavailable as error:
        with read_only() as session:
            context = load_pledge_context(session, pledge_id, token)
        # A stored change is completed later, and the pledge's page says so.
        if context.pledge.pending_amount_minor != amount_minor:
            return render_gateway_error(context, error, operation="amount")
        return context.redirect_back()
    except DomainError as error:
        field_error = amount_error(context, pledge.frequency, error)
        if field_error is None:
            return render_gateway_error(context, error, operation="amount")
        return render_amount_form(context, pledge.frequency, field_error=field_error)
    return context.redirect_back(done="amount")


@route_for_account_and_link(account_pledges, "card", "POST")
def redirect_to_card_update(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Redirect to the gateway's hosted page for a new payment method."""
    context, container = load_context(pledge_id, token), current_container()
    try:
        # The page about one card for everything is a signed-in supporter's.
        is_one_card = request.form.get("back") == "card" and token is None
        return_url = container.urls.public_url + ("/me/card" if is_one_card else context.return_url)
        url = subscriptions.payment_method_url(
            container.database.read_only,
            container.gateway,
            context.pledge,
            return_url=return_url,
            lang=context.texts.lang,
        )
    except DomainError as error:
        return render_gateway_error(context, error, operation="card")
    return redirect_to_gateway(
        url, context.texts, context.pledge.campaign, allowed=request.form.get("allowed", "")
    )


def _may_remind(context: PledgeContext) -> bool:
    return offers_reminders(context.pledge.campaign) and context.pledge.supporter_id is not None


def _create_reminder(context: PledgeContext) -> str | None:
    """Create a reminder of the same choice; return its date in ISO format, or None without a supporter."""
    container, pledge = current_container(), context.pledge
    if pledge.supporter_id is None:
        return None
    with transaction() as session:
        due_on = create_supporter_reminder(
            session,
            pledge.campaign,
            pledge.supporter_id,
            months=REMINDER_DELAY_MONTHS,
            frequency=pledge.frequency,
            amount_minor=pledge.amount_minor,
            currency=pledge.currency,
            lang=context.texts.lang,
            now=container.clock(),
            month_seconds=container.settings.month_seconds,
        )
    return due_on.isoformat()
