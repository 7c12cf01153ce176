"""What a notice says, part by part: which of the texts it takes, with names, dates and amounts filled in."""

from schemas.texts import texts_for
from schemas.vocabulary import NotificationKind
from service.domain.ports import NoticeLetter
from service.gateways.mail_words import say_date, say_money

Words = dict[str, str | list[tuple[str, str]]]
MOST_MISSED = 3


def notice_words(letter: NoticeLetter, lang: str) -> Words:
    """Return the words of each part; only receipts have `facts`, as pairs of label and value."""
    texts = texts_for("notices", lang, {letter.lang: letter.texts, lang: letter.texts})
    filled = {
        "campaign": letter.campaign_name,
        "amount": "" if letter.money is None else say_money(letter.money, lang),
        "date": "" if letter.falls_on is None else say_date(letter.falls_on, lang),
    }
    kind = letter.kind
    shared = {part: part for part in ("greeting", "thanks", "signature")}
    own = {part: f"{kind}_{part}" for part in ("subject", "preview", "message", "button", "after", "why")}
    names = shared | own | {"asked": f"{kind}_asked"} | _PARTS_OF[kind](letter)
    words: Words = {part: texts[f"notice_{name}"].format_map(filled) for part, name in names.items()}
    if kind == NotificationKind.RECEIPT:
        words["facts"] = _facts(letter, texts, lang)
        if letter.tax_line:
            words["tax_line"] = letter.tax_line
    return words


def _facts(letter: NoticeLetter, texts: dict[str, str], lang: str) -> list[tuple[str, str]]:
    facts = {
        "received_by": letter.legal_name or letter.campaign_name,
        "number": letter.receipt_number,
        "date": None if letter.falls_on is None else say_date(letter.falls_on, lang),
        "amount": None if letter.money is None else say_money(letter.money, lang),
        "fees": None if letter.fees is None else say_money(letter.fees, lang),
    }
    return [(texts[f"notice_fact_{name}"], fact) for name, fact in facts.items() if fact is not None]


def _parts_of_a_receipt(letter: NoticeLetter) -> dict[str, str]:
    parts = {"asked": f"receipt_asked_{letter.frequency}"}
    if letter.leads_to_pledge:
        # Beside the pledge's own page, there is one with all that the reader gave.
        parts |= {"button": "receipt_button_pledge", "after": "receipt_after_pledge", "link": "receipt_link"}
    return parts


def _parts_of_a_missed_payment(letter: NoticeLetter) -> dict[str, str]:
    return {
        "asked": f"missed_asked_{letter.frequency}",
        "message": "missed_message" if letter.falls_on is None else "missed_message_next",
        "why": f"missed_why_{min(max(letter.number, 1), MOST_MISSED)}",
    }


def _parts_of_an_end(letter: NoticeLetter) -> dict[str, str]:
    return {"asked": f"ended_asked_{'unpaid_' if letter.is_unpaid else ''}{letter.frequency}"}


def _nothing_else(_letter: NoticeLetter) -> dict[str, str]:
    return {}


_PARTS_OF = {
    NotificationKind.RECEIPT: _parts_of_a_receipt,
    NotificationKind.PAYMENT_FAILED: _parts_of_a_missed_payment,
    NotificationKind.RENEWAL: _nothing_else,
    NotificationKind.CANCELLED: _parts_of_an_end,
    NotificationKind.SIGN_IN: _nothing_else,
}
