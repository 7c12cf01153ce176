"""Campaigns as the widget reads them."""

import hashlib
import json
from typing import Any

from flask import Response, request
from werkzeug.http import quote_etag

from schemas.campaign import CampaignResponse, split_paragraphs
from schemas.reminder_labels import reminder_options, reminder_text_overrides
from schemas.translations import negotiate_language, texts_for, widget_texts
from service.api.blueprint import ResourceBlueprint
from service.api.cors import enable_cors, require_allowed_origin
from service.db.models.campaign import Campaign
from service.domain.campaigns.definitions import serialize_campaign
from service.domain.money import exponent, resolve_locale
from service.web import current_container

CACHE_CONTROL = "public, max-age=60, stale-while-revalidate=600"

campaigns = ResourceBlueprint(
    "campaigns", __name__, url_prefix="/v1/campaigns", description="What readers may choose."
)
enable_cors(campaigns)


@campaigns.route("/<slug>")
@campaigns.doc(parameters=[{"in": "query", "name": "lang", "schema": {"type": "string"}, "description": "BCP 47"}])
@campaigns.response(200, CampaignResponse)
@campaigns.alt_response(304, description="Not modified")
def get_campaign(slug: str) -> Response:
    """Show a campaign's text and choices, in the reader's language where there is one."""
    copy = current_container().campaign_cache.get_entry(slug)
    campaign, responses = copy.campaign, copy.response_bodies
    require_allowed_origin(campaign)
    wished = request.args.get("lang") if request.query_string else None
    lang = negotiate_language(wished, campaign.texts, default=campaign.lang)
    if lang not in responses:
        body = json.dumps(CampaignResponse().dump(_serialize(campaign, lang)), ensure_ascii=False).encode()
        responses[lang] = body, hashlib.sha256(body).hexdigest()[:32]
    body, etag = responses[lang]
    unchanged = "If-None-Match" in request.headers and request.if_none_match.contains_weak(etag)
    headers = [("Content-Type", "application/json"), ("ETag", quote_etag(etag)), ("Cache-Control", CACHE_CONTROL)]
    return Response(b"" if unchanged else body, 304 if unchanged else 200, headers)


def _serialize(campaign: Campaign, lang: str) -> dict[str, Any]:
    said = campaign.texts.get(lang, {})
    message = split_paragraphs(said["message"]) if "message" in said else campaign.message
    terms, once, again = serialize_campaign(campaign), campaign.reminder_choices, campaign.reminder_repeats
    options = reminder_options(once, again, lang, campaign.texts, locale=resolve_locale(lang))
    offer = reminder_text_overrides(lang, campaign.texts, repeats=bool(again), confirm=campaign.reminder_confirm)
    if campaign.reminder_confirm and "reminder_date" in offer:
        # The page without JavaScript says this in a line of its own, for which the box has no place.
        offer["reminder_date"] += " " + texts_for("pages", lang, campaign.texts)["reminder_set_known"]
    # What a campaign in one currency, with no fees to cover, has no use for is not built into the widget.
    has_more = terms["other_currencies"] or terms["cover_fees"]
    more = texts_for("offers", lang, campaign.texts) if has_more else {}
    response = {
        "heading": said.get("heading", campaign.heading),
        "message": message,
        "lang": lang,
        "other_currencies": [other | _currency_scale(other["currency"]) for other in terms["other_currencies"]],
        "reminder": terms["reminder"] | {"options": options},
        "support_url": current_container().urls.campaign_url(campaign),
        "texts": widget_texts(lang, campaign.texts) | more | offer,
    }
    return terms | _currency_scale(campaign.currency) | response


def _currency_scale(currency: str) -> dict[str, int]:
    """Return how a currency is divided, and in which steps our gateway charges it."""
    return {"exponent": exponent(currency), "step": current_container().gateway.charge_limits(currency).step_minor}
