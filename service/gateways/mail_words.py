"""What a letter says, part by part: which of the texts it takes, with names, dates and amounts filled in."""

import datetime
from functools import lru_cache

from babel.dates import format_date
from babel.units import format_unit

from schemas.translations import negotiate_language, texts_for
from service.domain.money import format_money, resolve_locale
from service.domain.ports import Email, ReminderEmail

MAX_PAGE_NAME_LENGTH = 200


def email_language(email: Email) -> str:
    """Return the language to write in: the reader's, if we have texts in it, else English."""
    # What the campaign says in a language of its own makes it a language that we write.
    own = (email.lang,) if email.texts else ()
    return negotiate_language(email.lang, own, default="en")


def reminder_content(email: ReminderEmail, lang: str) -> dict[str, str]:
    """Return the words of each part of the letter; a confirmation has no `link` beside its button."""
    texts = texts_for("mails", lang, {email.lang: email.texts, lang: email.texts})
    filled = {
        "campaign": email.campaign_name,
        "heading": email.campaign_heading,
        "date": format_long_date(email.requested_on, lang),
        "page": shorten_url(email.requested_from or ""),
        "amount": "" if email.money is None else cached_format_money(email.money, lang),
        "every": "" if email.every_months is None else _format_interval(email.every_months, texts, lang),
    }
    parts = _confirmation_parts(email) if email.is_confirmation_request else _reminder_parts(email)
    return {part: texts[f"mail_{name}"].format_map(filled) for part, name in parts.items()}


def _reminder_parts(email: ReminderEmail) -> dict[str, str]:
    """Return part → name of its text. `asked` names the page if it is known, and the button the choice."""
    every = "_every" if email.every_months else ""
    knows_choice = email.money is not None and email.frequency is not None
    return {
        "subject": "subject",
        "preview": f"preview{every}",
        "greeting": "greeting",
        "asked": "asked_on_page" if email.requested_from else "asked",
        "message": f"message{every}",
        "button": f"give_{email.frequency}" if knows_choice else "give_any",
        "after": f"manage{every}",
        "link": f"manage_link{every}",
        "thanks": "thanks",
        "signature": "signature",
        "why": f"why{every}",
    }


def _confirmation_parts(email: ReminderEmail) -> dict[str, str]:
    return {
        "subject": "confirm_subject",
        "preview": "confirm_preview",
        "greeting": "greeting",
        "asked": "confirm_asked_on_page" if email.requested_from else "confirm_asked",
        "message": "confirm_message_every" if email.every_months else "confirm_message",
        "button": "confirm_button",
        "after": "confirm_silence",
        "thanks": "thanks",
        "signature": "signature",
        "why": "confirm_why",
    }


def shorten_url(url: str) -> str:
    """Return a page's address without its query and fragment, which may be the reader's own, and not too long."""
    bare = url.partition("#")[0].partition("?")[0]
    return bare if len(bare) <= MAX_PAGE_NAME_LENGTH else f"{bare[:MAX_PAGE_NAME_LENGTH]}…"


# A day's mails share few dates and amounts, and each takes Babel longer than all the rest of a letter.


@lru_cache(maxsize=4096)
def format_long_date(date: datetime.date, lang: str) -> str:
    """Return a date in its long form: "November 23, 2026"."""
    return format_date(date, format="long", locale=resolve_locale(lang))


cached_format_money = lru_cache(maxsize=4096)(format_money)


def _format_interval(months: int, texts: dict[str, str], lang: str) -> str:
    """Return "every month", "every year", or "every 3 months"."""
    text = {1: "mail_every_month", 12: "mail_every_year"}.get(months, "mail_every_so_often")
    return texts[text].format_map({"months": _format_months(months, lang)})


@lru_cache(maxsize=256)
def _format_months(months: int, lang: str) -> str:
    return format_unit(months, "duration-month", locale=resolve_locale(lang))
