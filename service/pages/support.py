"""The support page: the widget's choices as a plain form, for readers without JavaScript."""

import datetime
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode

from babel.numbers import get_currency_name, get_currency_symbol
from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from schemas.campaign import split_paragraphs
from schemas.enums import Frequency
from service.db.models.campaign import Campaign
from service.domain.campaigns.amounts import campaign_currencies, covered_fees, fee_rate, options_for_currency
from service.domain.errors import DomainError
from service.domain.money import Money, format_money, resolve_locale
from service.domain.pledges.checkout import create_pledge_checkout
from service.domain.reminders.reminders import create_or_update_reminder
from service.pages.form_errors import FieldError, FormError, describe_error
from service.pages.formatting import format_input_amount, format_long_date, format_reminder_button
from service.pages.reminders import ReminderForm, parse_reminder_form, reminder_form_from_request, reminder_options
from service.pages.rendering import render_page
from service.pages.support_form import (
    SupportForm,
    form_from_request,
    idempotency_key_for,
    initial_form,
    parse_form,
    parse_form_amount,
    selected_currency,
)
from service.pages.translations import Texts, texts_for_campaign
from service.web import check_rate_limit, current_container, transaction


@dataclass(frozen=True)
class CurrencyLink:
    """A link to the same page in another currency; the one that is shown leads nowhere else."""

    name: str
    url: str
    is_shown: bool


def currency_links(campaign: Campaign, form: SupportForm, texts: Texts) -> Sequence[CurrencyLink]:
    """Return a link for each currency, with the frequency kept; none where there is only one."""
    offered, shown = campaign_currencies(campaign), selected_currency(campaign, form.currency)
    kept = {"lang": texts.lang, "frequency": form.frequency, "from": form.reminder_token}
    if len(offered) == 1:
        return ()
    return [
        CurrencyLink(
            get_currency_name(currency, locale=resolve_locale(texts.lang)),
            "?" + urlencode({name: value for name, value in {"currency": currency, **kept}.items() if value}),
            currency == shown,
        )
        for currency in offered
    ]


def fee_labels(campaign: Campaign, currency: str, texts: Texts) -> Mapping[Frequency, str]:
    """Return in words what covering the fees adds to each preset, by frequency; nothing where nobody may."""
    if fee_rate(campaign, currency) is None:
        return {}
    limits = current_container().gateway.charge_limits(currency)

    def figure(amount_minor: int) -> str:
        money = Money(amount_minor, currency)
        fees = Money(covered_fees(campaign, money, limits=limits), currency)
        return texts.format(
            "cover_fees_figure", fees=format_money(fees, texts.lang), amount=format_money(money, texts.lang)
        )

    return {
        choice.frequency: texts.format("cover_fees_figures", figures=", ".join(map(figure, choice.presets_minor)))
        for choice in options_for_currency(campaign, currency)
    }


support = Blueprint("support", __name__)


@support.get("/support/<slug>")
def show_support_page(slug: str) -> Response:
    """Show what readers may choose, with an earlier choice already made."""
    campaign = current_container().campaign_cache.get(slug)
    texts = texts_for_campaign(campaign)
    form = initial_form(campaign, request.args, texts.lang)
    return render_support_page(campaign, texts, form, reminder_form_from_request(request.args))


@support.post("/support/<slug>")
def create_pledge(slug: str) -> BaseResponse:
    """Make a pledge and lead the reader to the page where it is paid."""
    check_rate_limit("pledge")
    container = current_container()
    campaign = container.campaign_cache.get(slug)
    texts, form = texts_for_campaign(campaign), form_from_request(campaign, request.form)
    try:
        payload = parse_form(campaign, form, texts.lang)
        opened = create_pledge_checkout(
            container.database.transaction,
            container.gateway,
            campaign,
            payload,
            key=idempotency_key_for(form, payload),
            clock=container.clock,
            links=container.urls,
        )
    except (FormError, DomainError) as error:
        currency = selected_currency(campaign, form.currency)
        said = describe_error(
            error, texts, campaign, frequency=form.frequency, typed=form.other_amount, currency=currency
        )
        return render_support_page(
            campaign, texts, form, _reminder_form_with_choice(campaign, form, texts.lang), said
        )
    return redirect(opened.checkout_url, 303)


def render_support_page(
    campaign: Campaign, texts: Texts, form: SupportForm, reminder: ReminderForm, said: FieldError | None = None
) -> Response:
    """Return the support page with both its forms, and what is wrong in its place."""
    own, locale = campaign.texts.get(texts.lang, {}), resolve_locale(texts.lang)
    currency = selected_currency(campaign, form.currency)
    return render_page(
        "support.html",
        texts,
        status=said.status if said else 200,
        campaign=campaign,
        heading=own.get("heading", campaign.heading),
        message=split_paragraphs(own["message"]) if "message" in own else campaign.message,
        # What the campaign says only in its own language is marked as such for those who hear the page.
        message_lang=texts.lang if "message" in own else campaign.lang,
        form=form,
        reminder=reminder,
        said=said,
        form_targets=current_container().gateway.hosted_origins,
        # Who cannot give now is shown how to be asked again, with nothing to look for.
        reminder_is_open=(said is not None and (said.is_retryable or said.field in ("email", "months")))
        or "remind" in request.args,
        currency=currency,
        currencies=currency_links(campaign, form, texts),
        choices=options_for_currency(campaign, currency),
        fees_on=fee_labels(campaign, currency, texts),
        write=lambda amount: format_money(Money(amount, currency), texts.lang),
        example=format_input_amount(Money(750, currency), texts.lang),
        mark=get_currency_symbol(currency, locale),
        mark_is_after=locale.currency_formats["standard"].pattern.endswith("¤"),
        options=reminder_options(campaign, texts),
        only_wait=[(months, format_reminder_button(months, texts)) for months in campaign.reminder_choices[:1]],
    )


def _reminder_form_with_choice(campaign: Campaign, form: SupportForm, lang: str) -> ReminderForm:
    """Return the other form with the choice of this one, so that who gives later need not choose again."""
    chosen = {"frequency": form.frequency, "currency": selected_currency(campaign, form.currency)}
    if form.currency == chosen["currency"] and form.frequency in form.presets:
        with suppress(FormError, DomainError):
            chosen["amount"] = str(parse_form_amount(form, lang))
    return reminder_form_from_request(chosen)


support_reminder = Blueprint("support_reminder", __name__)


@support_reminder.post("/support/<slug>/reminder")
def create_reminder(slug: str) -> BaseResponse:
    """Set a reminder and lead to the page that says when it comes."""
    check_rate_limit("reminder")
    container = current_container()
    campaign = container.campaign_cache.get(slug)
    texts, form = texts_for_campaign(campaign), reminder_form_from_request(request.form)
    try:
        payload = parse_reminder_form(
            campaign, form, texts, page_url=container.urls.support_page_url(campaign, None, None)
        )
        with transaction() as session:
            response = create_or_update_reminder(
                session,
                campaign,
                payload,
                now=container.clock(),
                month_seconds=container.settings.month_seconds,
                gateway=container.gateway,
            )
    except (FormError, DomainError) as error:
        choice = initial_form(campaign, request.form, texts.lang)
        return render_support_page(
            campaign, texts, choice, form, describe_error(error, texts, campaign, currency=choice.currency)
        )
    # The date is all that the next page is told; the address stays out of every URL.
    due_on = response.due_on.isoformat()
    return redirect(url_for(".show_reminder_created", slug=slug, due_on=due_on, lang=texts.lang), 303)


@support_reminder.get("/support/<slug>/reminder-set")
def show_reminder_created(slug: str) -> Response:
    """Thank the reader and say on which day we will write."""
    campaign = current_container().campaign_cache.get(slug)
    texts = texts_for_campaign(campaign)
    return render_page(
        "reminder_set.html", texts, campaign=campaign, date=_date(request.args.get("due_on"), texts.lang)
    )


def _date(text: str | None, lang: str) -> str | None:
    try:
        return format_long_date(datetime.date.fromisoformat(text or ""), lang)
    except ValueError:
        return None
