"""The support page `/support/<slug>`: the widget's pledge and reminder forms for readers without JavaScript."""

import datetime
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode

from babel.numbers import get_currency_name, get_currency_symbol
from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from schemas.appeal import localized_appeal, localized_impact
from schemas.enums import Frequency
from service.db.models.campaign import Campaign
from service.domain.campaigns.amounts import campaign_currencies, covered_fees, fee_rate, options_for_currency
from service.domain.campaigns.definitions import impact_lines
from service.domain.errors import DomainError
from service.domain.money import Money, format_input_amount, format_money, resolve_locale
from service.domain.offer_changes import describe_changes
from service.domain.pledges.checkout import create_pledge_checkout
from service.domain.pledges.queries import pledges_for_supporter
from service.domain.pledges.subscriptions import is_recurring_active
from service.domain.reminders.reminders import create_or_update_reminder
from service.domain.reminders.schedule import first_due, pickable_days
from service.pages.calendar_file import calendar_file
from service.pages.form_errors import FieldError, FormError, describe_error
from service.pages.formatting import format_day, format_near_day, format_reminder_button
from service.pages.gateway_redirect import custom_origin, gateway_origins, redirect_to_gateway
from service.pages.outcomes import outcome, outcome_url
from service.pages.page_head import support_page_head
from service.pages.reminders import (
    ReminderForm,
    calendar_day,
    calendar_links,
    parse_reminder_form,
    reminder_form_from_request,
    reminder_options,
)
from service.pages.rendering import render_page
from service.pages.session_cookie import current_supporter_id, session_token
from service.pages.support_form import (
    SupportForm,
    form_from_request,
    idempotency_key_for,
    initial_form,
    parse_form,
    parse_form_amount,
    requested_preference,
    selected_currency,
)
from service.pages.support_script import SCRIPT, script_offer
from service.pages.translations import Texts, texts_for_campaign
from service.web import (
    check_campaign_rate_limit,
    check_rate_limit,
    current_client,
    current_container,
    read_only,
    transaction,
)

REMINDER_FIELDS = ("email", "months", "due_on")

support = Blueprint("support", __name__)


@dataclass(frozen=True)
class CurrencyLink:
    """A link to the page in another currency, or in the current one."""

    name: str
    url: str
    is_current: bool


@support.get("/support/<slug>")
def show_support_page(slug: str) -> Response:
    """Show the forms, with the choice in the query string preselected."""
    campaign = current_container().campaign_cache.get(slug)
    texts = texts_for_campaign(campaign)
    form = initial_form(campaign, request.args, texts.lang)
    changes = describe_changes(requested_preference(campaign, request.args).changes, texts.format, texts.lang)
    return render_support_page(
        campaign, texts, form, reminder_form_from_request(request.args), offer_changes=changes
    )


@support.post("/support/<slug>")
def create_pledge(slug: str) -> BaseResponse:
    """Create a pledge and redirect to its checkout."""
    check_rate_limit("pledge")
    container = current_container()
    campaign = container.campaign_cache.get(slug)
    check_campaign_rate_limit("pledge", campaign)
    texts, form = texts_for_campaign(campaign), form_from_request(campaign, request.form)
    try:
        limits = container.gateway.charge_limits(selected_currency(campaign, form.currency))
        payload = parse_form(campaign, form, texts.lang, limits=limits)
        checkout = create_pledge_checkout(
            container.database.transaction,
            container.gateway,
            campaign,
            payload,
            idempotency_key=idempotency_key_for(form, payload),
            clock=container.clock,
            urls=container.urls,
            client=current_client(),
            supporter_id=_signed_in_supporter(),
        )
    except (FormError, DomainError) as error:
        currency = selected_currency(campaign, form.currency)
        field_error = describe_error(error, texts, campaign, frequency=form.frequency, currency=currency)
        return render_support_page(
            campaign, texts, form, _reminder_form_with_choice(campaign, form, texts.lang), field_error
        )
    # A form that does not say which origin its page allowed was filled in by a program.
    allowed = request.form.get("allowed", custom_origin())
    container.checkout_origins.remember(checkout.checkout_url)
    return redirect_to_gateway(checkout.checkout_url, texts, campaign, allowed=allowed)


@support.post("/support/<slug>/reminder")
def create_reminder(slug: str) -> BaseResponse:
    """Create a reminder and redirect to the page that confirms its date."""
    check_rate_limit("reminder")
    container = current_container()
    campaign = container.campaign_cache.get(slug)
    check_campaign_rate_limit("reminder", campaign)
    texts, form = texts_for_campaign(campaign), reminder_form_from_request(request.form)
    try:
        payload = parse_reminder_form(
            campaign, form, texts, page_url=container.urls.support_page_url(campaign, None, None)
        )
        with transaction() as session:
            reminder = create_or_update_reminder(
                session,
                campaign,
                payload,
                now=container.clock(),
                month_seconds=container.settings.month_seconds,
                gateway=container.gateway,
                mail_server=container.settings.mail.server_address,
            )
    except (FormError, DomainError) as error:
        support_form = initial_form(campaign, request.form, texts.lang)
        field_error = describe_error(error, texts, campaign, currency=support_form.currency)
        return render_support_page(campaign, texts, support_form, form, field_error)
    # The URL contains the date and not the address.
    due_on = reminder.due_on.isoformat()
    return redirect(
        outcome_url(url_for(".show_reminder_created", slug=slug), {"due_on": due_on}, lang=texts.lang), 303
    )


@support.get("/support/<slug>/reminder-set")
def show_reminder_created(slug: str) -> BaseResponse:
    """Confirm a new reminder with its date; without one, lead to the form."""
    campaign, due_on = current_container().campaign_cache.get(slug), outcome().get("due_on")
    if due_on is None:
        return redirect(url_for(".show_support_page", slug=slug, lang=request.args.get("lang")), 303)
    texts = texts_for_campaign(campaign)
    date = format_day(datetime.date.fromisoformat(due_on), campaign, texts)
    return render_page("reminder_created.html", texts, campaign=campaign, date=date)


@support.get("/support/<slug>/reminder.ics")
def download_calendar_file(slug: str) -> Response:
    """Return a reminder for the reader's own calendar. No address is given, and nothing is stored.

    Raises:
        CampaignClosed, RemindersNotOffered, ReminderChoiceNotOffered, DueDateOutOfRange: there is none such.
    """
    container = current_container()
    campaign = container.campaign_cache.get(slug)
    texts, preference = texts_for_campaign(campaign), requested_preference(campaign, request.args)
    amount = preference.money
    content = calendar_file(
        calendar_day(campaign, request.args),
        title=texts.format("reminder_event", campaign=campaign.name),
        url=container.urls.support_page_url(
            campaign,
            preference.frequency,
            amount.amount_minor if amount else None,
            currency=amount.currency if amount else None,
        ),
        send_hour=campaign.send_hour,
        host=container.urls.host,
        now=container.clock(),
    )
    response = Response(content, content_type="text/calendar; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="reminder.ics"'
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def render_support_page(
    campaign: Campaign,
    texts: Texts,
    form: SupportForm,
    reminder: ReminderForm,
    field_error: FieldError | None = None,
    *,
    offer_changes: Sequence[str] = (),
) -> Response:
    """Return the support page with both forms and the error beside its field.

    `offer_changes` say what is not offered any more of the choice in the link that led here.
    """
    locale = resolve_locale(texts.lang)
    appeal = localized_appeal(
        name=campaign.name,
        heading=campaign.heading,
        message=campaign.message,
        default_lang=campaign.lang,
        lang=texts.lang,
        overrides=campaign.texts,
        is_closed=campaign.closed_at is not None,
    )
    currency = selected_currency(campaign, form.currency)
    return render_page(
        "support.html",
        texts,
        status=field_error.status if field_error else 200,
        campaign=campaign,
        heading=appeal.heading,
        message=appeal.message,
        # A message without a translation needs its own language in the HTML, for screen readers.
        message_lang=appeal.lang,
        form=form,
        reminder=reminder,
        field_error=field_error,
        # A closed campaign has no form.
        is_form_wrong=field_error is not None and campaign.closed_at is None,
        head=support_page_head(campaign, texts, appeal.message, requested=request.args.get("lang") == texts.lang),
        offer_changes=offer_changes,
        form_targets=gateway_origins(),
        custom_origin=custom_origin(),
        offers_reminder=campaign.reminder_enabled and not _gives_already(campaign),
        # The reminder form is open for a reader who cannot pay now.
        reminder_is_open="remind" in request.args
        or (field_error is not None and (field_error.is_retryable or field_error.field in REMINDER_FIELDS)),
        currency=currency,
        currency_links=currency_links(campaign, form, texts),
        pledge_options=options_for_currency(campaign, currency),
        scripts=(SCRIPT,) if campaign.closed_at is None else (),
        script_offer=script_offer(campaign, currency, texts),
        impact=localized_impact(
            impact_lines(campaign, currency),
            lang=texts.lang,
            overrides=campaign.texts,
            other_currency=None if currency == campaign.currency else currency,
        ),
        fee_labels=fee_labels(campaign, currency, texts),
        format_amount=lambda amount_minor: format_money(Money(amount_minor, currency), texts.lang),
        example=format_input_amount(Money(750, currency), texts.lang),
        currency_symbol=get_currency_symbol(currency, locale),
        symbol_is_after=locale.currency_formats["standard"].pattern.endswith("¤"),
        reminder_options=reminder_options(campaign, texts),
        reminder_days=pickable_days(campaign.timezone, now=current_container().clock()),
        calendar_links=calendar_links(campaign, texts, reminder),
        reminder_near_day=_near_day(campaign, texts),
        only_interval=[
            (months, format_reminder_button(months, texts)) for months in campaign.reminder_choices[:1]
        ],
    )


def currency_links(campaign: Campaign, form: SupportForm, texts: Texts) -> Sequence[CurrencyLink]:
    """Return a link for each currency that keeps the chosen frequency; none for a single currency."""
    currencies, current = campaign_currencies(campaign), selected_currency(campaign, form.currency)
    params = {"lang": texts.lang, "frequency": form.frequency, "from": form.reminder_token}
    if len(currencies) == 1:
        return ()
    return [
        CurrencyLink(
            get_currency_name(currency, locale=resolve_locale(texts.lang)),
            "?" + urlencode({name: value for name, value in {"currency": currency, **params}.items() if value}),
            currency == current,
        )
        for currency in currencies
    ]


def fee_labels(campaign: Campaign, currency: str, texts: Texts) -> Mapping[Frequency, str]:
    """Return for each frequency what covering the fees adds to its presets; empty if fees cannot be covered."""
    if fee_rate(campaign, currency) is None:
        return {}
    limits = current_container().gateway.charge_limits(currency)

    def label(amount_minor: int) -> str:
        money = Money(amount_minor, currency)
        fees = Money(covered_fees(campaign, money, limits=limits), currency)
        return texts.format(
            "cover_fees_figure", fees=format_money(fees, texts.lang), amount=format_money(money, texts.lang)
        )

    return {
        option.frequency: texts.format("cover_fees_figures", figures=", ".join(map(label, option.presets_minor)))
        for option in options_for_currency(campaign, currency)
    }


def _signed_in_supporter() -> uuid.UUID | None:
    """Return the id of the supporter who is signed in to `/me`, if any."""
    if session_token() is None:
        return None
    with read_only() as session:
        return current_supporter_id(session)


def _gives_already(campaign: Campaign) -> bool:
    """Whether the reader is signed in and gives every month or year already, so needs no reminder to."""
    if session_token() is None:
        return False
    with read_only() as session:
        supporter_id = current_supporter_id(session)
        return supporter_id is not None and any(
            is_recurring_active(pledge) and pledge.campaign_id == campaign.id
            for pledge in pledges_for_supporter(session, supporter_id)
        )


def _reminder_form_with_choice(campaign: Campaign, form: SupportForm, lang: str) -> ReminderForm:
    """Return the reminder form with the choice that the reader made in the pledge form."""
    currency = selected_currency(campaign, form.currency)
    values = {"frequency": form.frequency, "currency": currency}
    if form.currency == currency and form.frequency in form.presets:
        with suppress(FormError, DomainError):
            limits = current_container().gateway.charge_limits(currency)
            values["amount"] = str(parse_form_amount(form, lang, limits=limits))
    return reminder_form_from_request(values)


def _near_day(campaign: Campaign, texts: Texts) -> str:
    """Return about when the campaign's first reminder comes: "December 26"."""
    now, zone = current_container().clock(), campaign.timezone
    months = (*campaign.reminder_choices, 1)[0]
    due = first_due(campaign, months, zone, now=now, month_seconds=None)
    return format_near_day(due.local_date, campaign, texts, today=now.date())
