"""The support page: the widget's choices as a plain form, for readers without JavaScript."""

from contextlib import suppress

from babel.numbers import get_currency_symbol
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from schemas.campaign import split_paragraphs
from service.db.models.campaign import Campaign
from service.domain.campaigns.amounts import options_for_currency
from service.domain.errors import DomainError
from service.domain.money import Money, format_money, resolve_locale
from service.domain.pledges.checkout import create_pledge_checkout
from service.pages.complaints import FieldError, FormError, describe_error
from service.pages.gifts import format_input_amount, format_reminder_button
from service.pages.language import Texts, texts_for_campaign
from service.pages.offered_money import currency_links, fee_labels
from service.pages.reminder_form import ReminderForm, reminder_form_from_request, reminder_options
from service.pages.sheet import render_page
from service.pages.support_form import (
    SupportForm,
    form_from_request,
    idempotency_key_for,
    initial_form,
    parse_form,
    parse_form_amount,
    selected_currency,
)
from service.web import check_rate_limit, current_container

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
