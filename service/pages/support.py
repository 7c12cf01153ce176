"""The support page: the widget's choices as a plain form, for readers without JavaScript."""

from contextlib import suppress

from babel.numbers import get_currency_symbol
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from schemas.campaign import split_paragraphs
from service.db.campaign import Campaign
from service.domain.campaigns.offers import options_for_currency
from service.domain.errors import DomainError
from service.domain.money.amounts import Money, format_money
from service.domain.money.currencies import resolve_locale
from service.domain.pledges.checkout import create_pledge_checkout
from service.pages.complaints import Complaint, Said, say
from service.pages.gifts import say_when, typed_form
from service.pages.language import Words, words_for
from service.pages.offered_money import currency_links, fee_figures
from service.pages.reminder_form import ReminderForm, reminder_form, reminder_options
from service.pages.sheet import sheet
from service.pages.support_form import (
    SupportForm,
    amount_in,
    blank_form,
    filled_form,
    intent_key,
    read_wish,
    shown_currency,
)
from service.web import check_rate_limit, current_container

support = Blueprint("support", __name__)


@support.get("/support/<slug>")
def show_form(slug: str) -> Response:
    """Show what readers may choose, with an earlier choice already made."""
    campaign = current_container().campaign_cache.get(slug)
    words = words_for(campaign)
    form = blank_form(campaign, request.args, words.lang)
    return draw_form(campaign, words, form, reminder_form(request.args))


@support.post("/support/<slug>")
def make_pledge(slug: str) -> BaseResponse:
    """Make a pledge and lead the reader to the page where it is paid."""
    check_rate_limit("pledge")
    container = current_container()
    campaign = container.campaign_cache.get(slug)
    words, form = words_for(campaign), filled_form(campaign, request.form)
    try:
        payload = read_wish(campaign, form, words.lang)
        opened = create_pledge_checkout(
            container.database.transaction,
            container.gateway,
            campaign,
            payload,
            key=intent_key(form, payload),
            clock=container.clock,
            links=container.urls,
        )
    except (Complaint, DomainError) as error:
        currency = shown_currency(campaign, form.currency)
        said = say(error, words, campaign, frequency=form.frequency, typed=form.other_amount, currency=currency)
        return draw_form(campaign, words, form, _later(campaign, form, words.lang), said)
    return redirect(opened.checkout_url, 303)


def draw_form(
    campaign: Campaign, words: Words, form: SupportForm, reminder: ReminderForm, said: Said | None = None
) -> Response:
    """Return the support page with both its forms, and what is wrong in its place."""
    own, locale = campaign.texts.get(words.lang, {}), resolve_locale(words.lang)
    currency = shown_currency(campaign, form.currency)
    return sheet(
        "support.html",
        words,
        status=said.status if said else 200,
        campaign=campaign,
        heading=own.get("heading", campaign.heading),
        message=split_paragraphs(own["message"]) if "message" in own else campaign.message,
        # What the campaign says only in its own language is marked as such for those who hear the page.
        message_lang=words.lang if "message" in own else campaign.lang,
        form=form,
        reminder=reminder,
        said=said,
        leads_to=current_container().gateway.hosted_origins,
        # Who cannot give now is shown how to be asked again, with nothing to look for.
        reminder_is_open=(said is not None and (said.may_pass or said.field in ("email", "months")))
        or "remind" in request.args,
        currency=currency,
        currencies=currency_links(campaign, form, words),
        choices=options_for_currency(campaign, currency),
        fees_on=fee_figures(campaign, currency, words),
        write=lambda amount: format_money(Money(amount, currency), words.lang),
        example=typed_form(Money(750, currency), words.lang),
        mark=get_currency_symbol(currency, locale),
        mark_is_after=locale.currency_formats["standard"].pattern.endswith("¤"),
        options=reminder_options(campaign, words),
        only_wait=[(months, say_when(months, words)) for months in campaign.reminder_choices[:1]],
    )


def _later(campaign: Campaign, form: SupportForm, lang: str) -> ReminderForm:
    """Return the other form with the choice of this one, so that who gives later need not choose again."""
    chosen = {"frequency": form.frequency, "currency": shown_currency(campaign, form.currency)}
    if form.currency == chosen["currency"] and form.frequency in form.presets:
        with suppress(Complaint, DomainError):
            chosen["amount"] = str(amount_in(form, lang))
    return reminder_form(chosen)
