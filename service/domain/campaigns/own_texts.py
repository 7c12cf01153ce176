"""What a campaign says in its own words."""

from service.db.models.campaign import Campaign


def text_overrides(campaign: Campaign, lang: str) -> dict[str, str]:
    """Return what a campaign says differently in a language, by the text's name.

    A reader of "pt-BR" is written to in a campaign's "pt", where it has no closer words.
    """
    texts: dict[str, str] = campaign.texts.get(lang) or campaign.texts.get(lang.partition("-")[0], {})
    return texts
