"""What a notice says, part by part: which of the texts it takes, with names, dates and amounts filled in."""

from schemas.enums import NotificationKind
from schemas.translations import texts_for
from service.domain.ports import NotificationEmail
from service.gateways.mail_words import cached_format_money, format_long_date

EmailContent = dict[str, str | list[tuple[str, str]]]
MAX_DUNNING_EMAILS = 3


def notification_content(email: NotificationEmail, lang: str) -> EmailContent:
    """Return the words of each part; only receipts have `facts`, as pairs of label and value."""
    texts = texts_for("notices", lang, {email.lang: email.texts, lang: email.texts})
    filled = {
        "campaign": email.campaign_name,
        "amount": "" if email.money is None else cached_format_money(email.money, lang),
        "date": "" if email.event_date is None else format_long_date(email.event_date, lang),
    }
    kind = email.kind
    shared = {part: part for part in ("greeting", "thanks", "signature")}
    own = {part: f"{kind}_{part}" for part in ("subject", "preview", "message", "button", "after", "why")}
    names = shared | own | {"asked": f"{kind}_asked"} | _PARTS_OF[kind](email)
    words: EmailContent = {part: texts[f"notice_{name}"].format_map(filled) for part, name in names.items()}
    if kind == NotificationKind.RECEIPT:
        words["facts"] = _receipt_lines(email, texts, lang)
        if email.tax_line:
            words["tax_line"] = email.tax_line
    return words


def _receipt_lines(email: NotificationEmail, texts: dict[str, str], lang: str) -> list[tuple[str, str]]:
    facts = {
        "received_by": email.legal_name or email.campaign_name,
        "number": email.receipt_number,
        "date": None if email.event_date is None else format_long_date(email.event_date, lang),
        "amount": None if email.money is None else cached_format_money(email.money, lang),
        "fees": None if email.fees is None else cached_format_money(email.fees, lang),
    }
    return [(texts[f"notice_fact_{name}"], fact) for name, fact in facts.items() if fact is not None]


def _receipt_parts(email: NotificationEmail) -> dict[str, str]:
    parts = {"asked": f"receipt_asked_{email.frequency}"}
    if email.links_to_pledge:
        # Beside the pledge's own page, there is one with all that the reader gave.
        parts |= {"button": "receipt_button_pledge", "after": "receipt_after_pledge", "link": "receipt_link"}
    return parts


def _payment_failed_parts(email: NotificationEmail) -> dict[str, str]:
    return {
        "asked": f"missed_asked_{email.frequency}",
        "message": "missed_message" if email.event_date is None else "missed_message_next",
        "why": f"missed_why_{min(max(email.dunning_number, 1), MAX_DUNNING_EMAILS)}",
    }


def _cancelled_parts(email: NotificationEmail) -> dict[str, str]:
    return {"asked": f"ended_asked_{'unpaid_' if email.is_unpaid else ''}{email.frequency}"}


def _nothing_else(_letter: NotificationEmail) -> dict[str, str]:
    return {}


_PARTS_OF = {
    NotificationKind.RECEIPT: _receipt_parts,
    NotificationKind.PAYMENT_FAILED: _payment_failed_parts,
    NotificationKind.RENEWAL: _nothing_else,
    NotificationKind.CANCELLED: _cancelled_parts,
    NotificationKind.SIGN_IN: _nothing_else,
}
