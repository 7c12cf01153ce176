"""The currencies of a campaign and the fees on its presets, as a page without scripts shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from babel.numbers import get_currency_name

from schemas.enums import Frequency
from service.db.models.campaign import Campaign
from service.domain.campaigns.amounts import campaign_currencies, covered_fees, fee_rate, options_for_currency
from service.domain.money import Money, format_money, resolve_locale
from service.pages.language import Texts
from service.pages.support_form import SupportForm, selected_currency
from service.web import current_container


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
