"""The account pages that switch a pledge between monthly and annual."""

import uuid

from werkzeug.wrappers import Response as BaseResponse

from service.domain.errors import (
    ChangeNotPossible,
    DomainError,
    InvalidTransition,
    PaymentsRescheduled,
    PaymentsUnavailable,
)
from service.domain.pledges.renewals import Obstacle
from service.domain.pledges.subscriptions import (
    OTHER_FREQUENCY,
    is_cancelling,
    is_recurring_active,
    switch_frequency,
    switch_obstacle,
)
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
from service.pages.account_view import format_pledge_summary
from service.pages.amount_form import amount_error, has_unseen_total, render_amount_form, submitted_amount
from service.pages.form_errors import FieldError
from service.web import current_container, read_only

# Such a pledge has no link to the form.
WITHOUT_FORM = (Obstacle.ENDING, Obstacle.PENDING)

account_frequency = pledge_blueprint("account_frequency")


@route_for_account_and_link(account_frequency, "frequency", "GET")
def show_frequency_form(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Show the amounts in the other frequency, and when the next payment is."""
    context = load_context(pledge_id, token)
    return _page_without_form(context) or render_amount_form(context, OTHER_FREQUENCY[context.pledge.frequency])


@route_for_account_and_link(account_frequency, "frequency", "POST")
def change_frequency(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Switch to the other frequency, from the next payment on."""
    context, container = load_context(pledge_id, token), current_container()
    without_form = _page_without_form(context)
    if without_form is not None:
        return without_form
    # What the reader was shown, so that a second click doesn't switch back.
    wanted = submitted_frequency()
    if wanted is None or wanted == context.pledge.frequency:
        return context.redirect_back()
    texts = context.texts
    try:
        amount_minor, next_at = submitted_amount(context), submitted_time("next")
        if amount_minor is None or next_at is None:
            error = FieldError(field="amount", message=texts.me_amount_missing, status=422)
            return render_amount_form(context, wanted, field_error=error)
        if has_unseen_total(context, wanted, amount_minor):
            return render_amount_form(context, wanted, unconfirmed=amount_minor)
        switch_frequency(
            container.database.transaction,
            container.gateway,
            context.pledge.id,
            wanted,
            amount_minor,
            next_payment_at=next_at,
            clock=container.clock,
            lang=texts.lang,
        )
    except (InvalidTransition, ChangeNotPossible):
        return context.redirect_back()
    except PaymentsRescheduled:
        changed = FieldError(field="form", message=texts.me_schedule_changed, status=409)
        return render_amount_form(context, wanted, field_error=changed)
    except PaymentsUnavailable as error:
        with read_only() as session:
            context = load_pledge_context(session, pledge_id, token)
        # A stored change is completed later, and the pledge's page says so.
        if context.pledge.pending_frequency is None:
            return render_gateway_error(context, error, operation="change")
        return context.redirect_back()
    except DomainError as error:
        field_error = amount_error(context, wanted, error)
        if field_error is None:
            return render_gateway_error(context, error, operation="change")
        return render_amount_form(context, wanted, field_error=field_error)
    return context.redirect_back(done="switched")


def _page_without_form(context: PledgeContext) -> BaseResponse | None:
    """Return what is shown instead of the form, or None if the frequency can be changed."""
    pledge, texts = context.pledge, context.texts
    if not is_recurring_active(pledge) or is_cancelling(pledge):
        return context.redirect_back()
    obstacle = switch_obstacle(pledge, now=current_container().clock())
    if obstacle is None:
        return None
    if obstacle in WITHOUT_FORM:
        return context.redirect_back()
    title = texts.format(
        f"me_switch_title_{OTHER_FREQUENCY[pledge.frequency]}", gift=format_pledge_summary(pledge, texts)
    )
    return render_not_now(context, title, obstacle)
