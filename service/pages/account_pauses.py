"""The account pages that pause a pledge, and end its pause."""

import uuid
from dataclasses import dataclass

from flask import Response, request
from werkzeug.wrappers import Response as BaseResponse

from schemas.enums import Frequency
from service.domain.errors import (
    ChangeNotPossible,
    DomainError,
    InvalidTransition,
    PaymentsRescheduled,
    PaymentsUnavailable,
)
from service.domain.money import format_money
from service.domain.pledges.pauses import (
    Pause,
    end_pause,
    pause_obstacle,
    pause_payments,
    possible_pauses,
)
from service.domain.pledges.pledges import total_charge
from service.domain.pledges.renewals import Obstacle, is_paused_at, pause_ends_at, scheduled_payment_at
from service.domain.pledges.subscriptions import is_cancelling, is_recurring_active
from service.pages.account_context import (
    PledgeContext,
    load_context,
    load_pledge_context,
    pledge_blueprint,
    render_gateway_error,
    render_not_now,
    route_for_account_and_link,
    submitted_frequency,
    submitted_time,
)
from service.pages.account_view import format_campaign_date, format_pledge_summary
from service.pages.form_errors import FieldError
from service.pages.rendering import render_page
from service.pages.support_form import parse_int
from service.web import current_container, read_only

# Such a pledge has no link to the form.
WITHOUT_FORM = (Obstacle.ENDING, Obstacle.PAUSED, Obstacle.PENDING)

account_pauses = pledge_blueprint("account_pauses")


@route_for_account_and_link(account_pauses, "pause", "GET")
def show_pause_form(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Show how long the payments can be paused, and for each choice when the next payment is."""
    context = load_context(pledge_id, token)
    return _page_without_form(context) or _render_pause_form(context)


@route_for_account_and_link(account_pauses, "pause", "POST")
def pause_pledge(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Pause the payments."""
    context, container = load_context(pledge_id, token), current_container()
    without_form = _page_without_form(context)
    if without_form is not None:
        return without_form
    payments, first_skipped_at = parse_int(request.form.get("payments", "")), submitted_time("from")
    if payments is None or first_skipped_at is None:
        return _render_pause_form(context, _pause_error(context, "me_pause_missing", 422))
    try:
        pause_payments(
            container.database.transaction,
            container.gateway,
            context.pledge.id,
            payments,
            first_skipped_at=first_skipped_at,
            frequency=submitted_frequency(),
            clock=container.clock,
        )
    except InvalidTransition:
        return context.redirect_back()
    except ChangeNotPossible:
        return _render_pause_form(context, _pause_error(context, "me_pause_missing", 422))
    except PaymentsRescheduled:
        return _render_pause_form(context, _pause_error(context, "me_schedule_changed", 409))
    except DomainError as error:
        return _render_trouble(pledge_id, token, error)
    return context.redirect_back(done="paused")


@route_for_account_and_link(account_pauses, "resume", "GET")
def confirm_resuming(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Ask for confirmation before a pause is ended, and say when the next payment is then."""
    context, now = load_context(pledge_id, token), current_container().clock()
    pledge, texts = context.pledge, context.texts
    if not _is_running(context) or not is_paused_at(pledge, now):
        return context.redirect_back()
    scheduled = scheduled_payment_at(pledge, now=now)
    effect = texts.me_resume_effect_undated
    if scheduled is not None and scheduled > now:
        amount = format_money(total_charge(pledge), texts.lang)
        date = format_campaign_date(scheduled, pledge, texts)
        effect = texts.format("me_resume_effect", amount=amount, date=date)
    response = render_page(
        "resume_pledge.html",
        texts,
        campaign=pledge.campaign,
        pledge_summary=format_pledge_summary(pledge, texts),
        effect=effect,
        base_url=context.base_url,
        return_url=context.return_url,
        current_path=request.path,
        can_move=bool(possible_pauses(pledge, now=now)),
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@route_for_account_and_link(account_pauses, "resume", "POST")
def resume_pledge(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """End the pause."""
    context, container = load_context(pledge_id, token), current_container()
    if not _is_running(context):
        return context.redirect_back()
    try:
        end_pause(container.database.transaction, container.gateway, context.pledge.id, clock=container.clock)
    except InvalidTransition:
        return context.redirect_back()
    except DomainError as error:
        return _render_trouble(pledge_id, token, error)
    return context.redirect_back(done="resumed")


@dataclass(frozen=True, kw_only=True)
class PauseChoice:
    """A pause of the form, its label, and the sentence about the payments with it."""

    payments: int
    label: str
    outcome: str


def _is_running(context: PledgeContext) -> bool:
    return is_recurring_active(context.pledge) and not is_cancelling(context.pledge)


def _page_without_form(context: PledgeContext) -> BaseResponse | None:
    """Return what is shown instead of the form, or None if the payments can be paused."""
    pledge, texts = context.pledge, context.texts
    obstacle = pause_obstacle(pledge, now=current_container().clock())
    if not _is_running(context) or obstacle in WITHOUT_FORM:
        return context.redirect_back()
    if obstacle is None:
        return None
    title = texts.format("me_pause_title", gift=format_pledge_summary(pledge, texts))
    return render_not_now(context, title, obstacle)


def _render_pause_form(context: PledgeContext, field_error: FieldError | None = None) -> Response:
    pledge, texts, now = context.pledge, context.texts, current_container().clock()
    pauses = possible_pauses(pledge, now=now)
    is_set = is_paused_at(pledge, now)
    set_pauses = [pause.payments for pause in pauses if is_set and pause.resumes_at == pause_ends_at(pledge)]
    response = render_page(
        "pause_pledge.html",
        texts,
        status=field_error.status if field_error else 200,
        campaign=pledge.campaign,
        pledge_summary=format_pledge_summary(pledge, texts),
        choices=[_choice(context, pause) for pause in pauses],
        chosen=set_pauses[0] if set_pauses else 1,
        first_skipped_at=pauses[0].first_skipped_at.isoformat() if pauses else "",
        frequency=pledge.frequency.value,
        return_url=context.return_url,
        current_path=request.path,
        field_error=field_error,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _choice(context: PledgeContext, pause: Pause) -> PauseChoice:
    pledge, texts = context.pledge, context.texts
    skips_one = pause.payments == 1 or pledge.frequency == Frequency.ANNUAL
    return PauseChoice(
        payments=pause.payments,
        label=texts.me_pause_skip if skips_one else texts.plural("me_pause_months", pause.payments),
        outcome=texts.format(
            "me_pause_outcome_skip" if skips_one else "me_pause_outcome",
            first=format_campaign_date(pause.first_skipped_at, pledge, texts),
            next=format_campaign_date(pause.next_payment_at, pledge, texts),
            amount=format_money(total_charge(pledge), texts.lang),
        ),
    )


def _pause_error(context: PledgeContext, name: str, status: int) -> FieldError:
    return FieldError(field="pause", message=context.texts[name], status=status)


def _render_trouble(pledge_id: uuid.UUID | None, token: str | None, error: DomainError) -> BaseResponse:
    with read_only() as session:
        context = load_pledge_context(session, pledge_id, token)
    # A stored request is completed later, and the pledge's page says so.
    if isinstance(error, PaymentsUnavailable) and context.pledge.pause_requested_at is not None:
        return context.redirect_back()
    return render_gateway_error(context, error, operation="change")
