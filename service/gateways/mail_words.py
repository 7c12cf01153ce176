"""What a letter says, part by part: which of the texts it takes, with names, dates and amounts filled in."""

import datetime
from functools import lru_cache

from babel.dates import format_date
from babel.units import format_unit

from schemas.texts import negotiate_language, texts_for
from service.domain.money.amounts import format_money
from service.domain.money.currencies import resolve_locale
from service.domain.ports import Letter, ReminderLetter

LONGEST_PAGE_NAME = 200


def language_of(letter: Letter) -> str:
    """Return the language to write in: the reader's, if we have texts in it, else English."""
    # What the campaign says in a language of its own makes it a language that we write.
    own = (letter.lang,) if letter.texts else ()
    return negotiate_language(letter.lang, own, default="en")


def words_of(letter: ReminderLetter, lang: str) -> dict[str, str]:
    """Return the words of each part of the letter; a confirmation has no `link` beside its button."""
    texts = texts_for("mails", lang, {letter.lang: letter.texts, lang: letter.texts})
    filled = {
        "campaign": letter.campaign_name,
        "heading": letter.campaign_heading,
        "date": say_date(letter.asked_on, lang),
        "page": page_name(letter.asked_where or ""),
        "amount": "" if letter.money is None else say_money(letter.money, lang),
        "every": "" if letter.every_months is None else _say_interval(letter.every_months, texts, lang),
    }
    parts = _parts_of_a_confirmation(letter) if letter.asks_to_confirm else _parts_of_a_reminder(letter)
    return {part: texts[f"mail_{name}"].format_map(filled) for part, name in parts.items()}


def _parts_of_a_reminder(letter: ReminderLetter) -> dict[str, str]:
    """Return part → name of its text. `asked` names the page if it is known, and the button the choice."""
    every = "_every" if letter.every_months else ""
    knows_choice = letter.money is not None and letter.frequency is not None
    return {
        "subject": "subject",
        "preview": f"preview{every}",
        "greeting": "greeting",
        "asked": "asked_on_page" if letter.asked_where else "asked",
        "message": f"message{every}",
        "button": f"give_{letter.frequency}" if knows_choice else "give_any",
        "after": f"manage{every}",
        "link": f"manage_link{every}",
        "thanks": "thanks",
        "signature": "signature",
        "why": f"why{every}",
    }


def _parts_of_a_confirmation(letter: ReminderLetter) -> dict[str, str]:
    return {
        "subject": "confirm_subject",
        "preview": "confirm_preview",
        "greeting": "greeting",
        "asked": "confirm_asked_on_page" if letter.asked_where else "confirm_asked",
        "message": "confirm_message_every" if letter.every_months else "confirm_message",
        "button": "confirm_button",
        "after": "confirm_silence",
        "thanks": "thanks",
        "signature": "signature",
        "why": "confirm_why",
    }


def page_name(url: str) -> str:
    """Return a page's address without its query and fragment, which may be the reader's own, and not too long."""
    bare = url.partition("#")[0].partition("?")[0]
    return bare if len(bare) <= LONGEST_PAGE_NAME else f"{bare[:LONGEST_PAGE_NAME]}…"


# A day's mails share few dates and amounts, and each takes Babel longer than all the rest of a letter.


@lru_cache(maxsize=4096)
def say_date(date: datetime.date, lang: str) -> str:
    """Return a date in its long form: "November 23, 2026"."""
    return format_date(date, format="long", locale=resolve_locale(lang))


say_money = lru_cache(maxsize=4096)(format_money)


def _say_interval(months: int, texts: dict[str, str], lang: str) -> str:
    """Return "every month", "every year", or "every 3 months"."""
    text = {1: "mail_every_month", 12: "mail_every_year"}.get(months, "mail_every_so_often")
    return texts[text].format_map({"months": _say_months(months, lang)})


@lru_cache(maxsize=256)
def _say_months(months: int, lang: str) -> str:
    return format_unit(months, "duration-month", locale=resolve_locale(lang))
