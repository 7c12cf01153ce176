"""The public campaign resource, which the widget reads."""

import hashlib
import json
from typing import Any

from flask import Response, request
from werkzeug.http import quote_etag

from schemas.appeal import localized_appeal, localized_impact
from schemas.brand import BrandResponse
from schemas.campaign import CampaignResponse
from schemas.colours import DARK_GROUND, LIGHT_GROUND, TEXT_CONTRAST, hover_colour, nearest_colour, text_colour_on
from schemas.reminder_labels import reminder_options, reminder_text_overrides
from schemas.translations import REMINDER_FORM_TEXTS, negotiate_language, texts_for, widget_texts
from service.api.blueprint import ResourceBlueprint
from service.api.cors import enable_cors, require_allowed_origin
from service.db.models.campaign import Campaign
from service.domain.campaigns.brand import LOGOS, shown_size
from service.domain.campaigns.definitions import offers_reminders, serialize_campaign
from service.domain.money import exponent
from service.web import current_container

QUERY_DOC = [
    {"in": "query", "name": "lang", "schema": {"type": "string"}, "description": "BCP 47"},
    {
        "in": "query",
        "name": "texts",
        "schema": {"type": "string", "enum": ["full"]},
        "description": "`full` adds the English texts that the widget does not have built in.",
    },
    {
        "in": "query",
        "name": "part",
        "schema": {"type": "string", "enum": ["first", "reminder"]},
        "description": "Only the texts that the box shows first, or those of its reminder form. Default: all.",
    },
]
FIRST_PART, REMINDER_PART = "first", "reminder"
CACHE_CONTROL = "public, max-age=60, stale-while-revalidate=600"

campaigns = ResourceBlueprint("campaigns", __name__, url_prefix="/v1/campaigns", description="Campaign options.")
enable_cors(campaigns)


@campaigns.route("/<slug>")
@campaigns.doc(parameters=QUERY_DOC)
@campaigns.response(200, CampaignResponse)
@campaigns.alt_response(304, description="Not modified")
def get_campaign(slug: str) -> Response:
    """Show a campaign's texts and options, in the requested language if there are texts in it."""
    entry = current_container().campaign_cache.get_entry(slug)
    campaign, bodies = entry.campaign, entry.response_bodies
    require_allowed_origin(campaign)
    requested = request.args.get("lang") if request.query_string else None
    lang = negotiate_language(requested, campaign.texts, default=campaign.lang)
    full_texts = bool(request.query_string) and request.args.get("texts") == "full"
    part = _requested_part()
    if (lang, full_texts, part) not in bodies:
        serialized = CampaignResponse().dump(_serialize(campaign, lang, full_texts=full_texts, part=part))
        body = json.dumps(serialized, ensure_ascii=False).encode()
        bodies[lang, full_texts, part] = body, hashlib.sha256(body).hexdigest()[:32]
    body, etag = bodies[lang, full_texts, part]
    not_modified = "If-None-Match" in request.headers and request.if_none_match.contains_weak(etag)
    headers = [("Content-Type", "application/json"), ("ETag", quote_etag(etag)), ("Cache-Control", CACHE_CONTROL)]
    return Response(b"" if not_modified else body, 304 if not_modified else 200, headers)


def _requested_part() -> str | None:
    """Return which texts the box asks for; None for all. Few values, because each has a cached response."""
    part = request.args.get("part") if request.query_string else None
    return part if part in {FIRST_PART, REMINDER_PART} else None


def _serialize(campaign: Campaign, lang: str, *, full_texts: bool, part: str | None) -> dict[str, Any]:
    is_closed = campaign.closed_at is not None
    appeal = localized_appeal(
        name=campaign.name,
        heading=campaign.heading,
        message=campaign.message,
        default_lang=campaign.lang,
        lang=lang,
        overrides=campaign.texts,
        is_closed=is_closed,
    )
    definition = serialize_campaign(campaign)
    choices, repeats = campaign.reminder_choices, campaign.reminder_repeats
    options = reminder_options(choices, repeats, lang, campaign.texts)
    reminder_texts = reminder_text_overrides(
        lang,
        campaign.texts,
        choices=choices,
        repeats=repeats,
        pick_date=campaign.reminder_pick_date,
        confirm=campaign.reminder_confirm,
    )
    if campaign.reminder_confirm and "reminder_date" in reminder_texts:
        # The page without JavaScript shows this on a separate line, for which the widget has no room.
        reminder_texts["reminder_date"] += " " + texts_for("pages", lang, campaign.texts)["reminder_set_known"]
    # These texts are not built into the widget, because most campaigns have one currency and no fees to cover.
    needs_offer_texts = definition["other_currencies"] or definition["cover_fees"]
    offer_texts = texts_for("offers", lang, campaign.texts) if needs_offer_texts else {}
    own_texts = widget_texts(
        lang,
        campaign.texts,
        full=full_texts,
        has_reminder_list=len(options) > 1 or campaign.reminder_pick_date,
        has_privacy_link=campaign.privacy_url is not None,
    )
    texts = own_texts | offer_texts | reminder_texts
    if part is not None:
        is_in_form = part == REMINDER_PART
        texts = {name: text for name, text in texts.items() if (name in REMINDER_FORM_TEXTS) == is_in_form}
    localized = {
        "closed": is_closed,
        "heading": appeal.heading,
        "message": appeal.message,
        "lang": lang,
        "impact": localized_impact(definition["impact"], lang=lang, overrides=campaign.texts),
        "other_currencies": [
            option
            | _currency_scale(option["currency"])
            | {
                "impact": localized_impact(
                    option["impact"], lang=lang, overrides=campaign.texts, other_currency=option["currency"]
                )
            }
            for option in definition["other_currencies"]
        ],
        "reminder": definition["reminder"] | {"enabled": offers_reminders(campaign), "options": options},
        "support_url": current_container().urls.campaign_url(campaign),
        "manage_url": f"{current_container().urls.account_url()}?lang={lang}",
        "brand": _brand(campaign),
        "texts": texts,
    }
    return definition | _currency_scale(campaign.currency) | localized


def _brand(campaign: Campaign) -> dict[str, Any] | None:
    """Return what a `BrandResponse` has of the campaign's look; None if it has none of its own."""
    look = campaign.brand
    if not look:
        return None
    brand = dict.fromkeys(BrandResponse().fields) | look
    if (accent := look.get("accent")) is not None:
        on_accent = look.get("on_accent") or text_colour_on(accent)
        brand |= {
            "on_accent": on_accent,
            "accent_hover": hover_colour(accent, on_accent),
            "accent_on_light": nearest_colour(accent, LIGHT_GROUND, TEXT_CONTRAST),
            "accent_on_dark": nearest_colour(accent, DARK_GROUND, TEXT_CONTRAST),
        }
    for name in LOGOS:
        if (image := look.get(name)) is not None:
            brand[name] = current_container().urls.image_url(image)
            brand[f"{name}_width"], brand[f"{name}_height"] = shown_size(image)
    return brand


def _currency_scale(currency: str) -> dict[str, int]:
    """Return the currency's exponent (ISO 4217) and the gateway's charge step, in minor units."""
    return {"exponent": exponent(currency), "step": current_container().gateway.charge_limits(currency).step_minor}
