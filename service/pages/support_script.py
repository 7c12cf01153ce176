"""What the support page tells its script, which upgrades the pledge form with the widget's code."""

from collections.abc import Mapping
from typing import Any

from schemas.enums import Frequency
from service.db.models.campaign import Campaign
from service.domain.campaigns.definitions import serialize_offer
from service.domain.money import exponent
from service.pages.translations import Texts
from service.web import current_container

SCRIPT = "support-page.js"
TEXT_NAMES = (
    "continue",
    *(f"continue_{frequency}" for frequency in Frequency),
    "amount_missing",
    "amount_invalid",
    "amount_decimals",
    "amount_whole",
    "amount_currency",
    "amount_suggested",
    "amount_use",
    "cover_fees_figures",
    "cover_fees_figure",
)


def script_offer(campaign: Campaign, currency: str, texts: Texts) -> Mapping[str, Any]:
    """Return the amounts of a currency, as in the campaign response, and the texts that depend on the choice."""
    limits = current_container().gateway.charge_limits(currency)
    return serialize_offer(campaign, currency) | {
        "exponent": exponent(currency),
        "step": limits.step_minor,
        "texts": {name: texts[name] for name in TEXT_NAMES},
    }
