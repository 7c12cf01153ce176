"""The support page: the widget's choices as a plain form, for readers without JavaScript."""

from babel.numbers import get_currency_symbol
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from schemas.campaign import split_paragraphs
from service.db.campaign import Campaign
from service.domain.errors import DomainError
from service.domain.money.amounts import Money, format_money
from service.domain.money.currencies import find_locale
from service.domain.pledges.checkout import open_checkout
from service.pages.complaints import Complaint, Said, say
from service.pages.gifts import say_when, typed_form
from service.pages.language import Words, words_for
from service.pages.reminder_form import ReminderForm, reminder_form, reminder_options
from service.pages.sheet import sheet
from service.pages.support_form import SupportForm, blank_form, filled_form, intent_key, read_wish
from service.web import count_request, current_desk

support = Blueprint("support", __name__)


@support.get("/support/<slug>")
def show_form(slug: str) -> Response:
    """Show what readers may choose, with an earlier choice already made."""
    campaign = current_desk().shelf.campaign(slug)
    words = words_for(campaign)
    form = blank_form(campaign, request.args, words.lang)
    return draw_form(campaign, words, form, reminder_form(request.args))


@support.post("/support/<slug>")
def make_pledge(slug: str) -> BaseResponse:
    """Make a pledge and lead the reader to the page where it is paid."""
    count_request("pledge")
    desk = current_desk()
    campaign = desk.shelf.campaign(slug)
    words, form = words_for(campaign), filled_form(campaign, request.form)
    try:
        wish = read_wish(campaign, form, words.lang)
        opened = open_checkout(
            desk.database.transaction,
            desk.gateway,
            campaign,
            wish,
            key=intent_key(form, wish),
            clock=desk.clock,
            links=desk.links,
        )
    except (Complaint, DomainError) as error:
        said = say(error, words, campaign, frequency=form.frequency, typed=form.other_amount)
        return draw_form(campaign, words, form, reminder_form({"frequency": form.frequency}), said)
    return redirect(opened.checkout_url, 303)


def draw_form(
    campaign: Campaign, words: Words, form: SupportForm, reminder: ReminderForm, said: Said | None = None
) -> Response:
    """Return the support page with both its forms, and what is wrong in its place."""
    own, locale = campaign.texts.get(words.lang, {}), find_locale(words.lang)
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
        reminder_is_open=(said is not None and said.field in ("email", "months")) or "remind" in request.args,
        write=lambda amount: format_money(Money(amount, campaign.currency), words.lang),
        example=typed_form(Money(750, campaign.currency), words.lang),
        mark=get_currency_symbol(campaign.currency, locale),
        mark_is_after=locale.currency_formats["standard"].pattern.endswith("¤"),
        options=reminder_options(campaign, words),
        only_wait=[(months, say_when(months, words)) for months in campaign.reminder_choices[:1]],
    )
