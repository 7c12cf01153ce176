"""The content of an email, part by part: which texts it uses, with names, dates and amounts filled in."""

import datetime
from functools import lru_cache

from schemas.bidi import isolate_values
from schemas.campaign import split_paragraphs
from schemas.enums import EmailKind, Frequency
from schemas.payment_methods import describe_payment_method
from schemas.plurals import format_plural
from schemas.translations import REMINDER_NOTE, negotiate_language, texts_for
from service.domain.dates import format_long_date
from service.domain.money import Money, format_exact_money, format_money, regional_language
from service.domain.offer_changes import describe_changes
from service.domain.ports import NotificationEmail, ReminderEmail

EmailContent = dict[str, str | list[str] | list[tuple[str, str]]]
MAX_DUNNING_EMAILS = 3


def email_language(email: ReminderEmail | NotificationEmail) -> str:
    """Return the language of the email: the reader's, if there are texts in it, else English."""
    # A language counts as supported if the campaign has its own texts in it.
    supported = (email.lang,) if email.texts else ()
    return negotiate_language(email.lang, supported, default="en")


def reminder_content(email: ReminderEmail, lang: str) -> EmailContent:
    """Return the text of each part; a confirmation request has no `link` beside its button."""
    texts = texts_for("mails", lang, {email.lang: email.texts, lang: email.texts})
    values = {
        "campaign": email.campaign_name,
        "heading": email.campaign_heading,
        "date": _format_day(email.requested_on, email, lang),
        "amount": "" if email.money is None else cached_format_money(email.money, lang),
        "every": "" if email.every_months is None else _format_interval(email.every_months, texts, lang),
    }
    parts = _confirmation_parts(email) if email.is_confirmation_request else _reminder_parts(email)
    content: EmailContent = {
        part: texts[f"mail_{name}"].format_map(isolate_values(values, lang)) for part, name in parts.items()
    }
    if REMINDER_NOTE in email.texts and not email.is_confirmation_request:
        content["note"] = split_paragraphs(email.texts[REMINDER_NOTE])
    if email.page_title is not None and "page" in content:
        content |= {
            "page_label": texts["mail_page"].format_map(isolate_values(values, lang)),
            "page": email.page_title,
        }
    if email.offer_changes and not email.is_confirmation_request:
        page_texts = texts_for("pages", lang, {email.lang: email.texts, lang: email.texts})

        def format_text(name: str, **values: str) -> str:
            return page_texts[name].format_map(isolate_values(values, lang))

        content["asked"] = " ".join(
            (str(content["asked"]), *describe_changes(email.offer_changes, format_text, lang))
        )
    return content


def _reminder_parts(email: ReminderEmail) -> dict[str, str]:
    """Return the name of the text for each part. They depend on what is known of the request."""
    every = "_every" if email.every_months else "_last" if email.is_last else ""
    manage = ("_every" if email.every_months else "") if email.can_be_moved else "_off"
    has_amount = email.money is not None and email.frequency is not None
    return {
        "subject": "subject",
        "preview": f"preview{every}",
        "greeting": "greeting",
        "asked": "asked",
        "page": "page_link",
        "message": f"message{every}",
        "button": f"give_{email.frequency}" if has_amount else "give_any",
        "after": f"manage{manage}",
        "link": f"manage_link{manage}",
        "thanks": "thanks",
        "signature": "signature",
        "why": f"why{every}",
        "supporter": "supporter",
        "supporter_link": "supporter_link",
    }


def _confirmation_parts(email: ReminderEmail) -> dict[str, str]:
    return {
        "subject": "confirm_subject",
        "preview": "confirm_preview",
        "greeting": "greeting",
        "asked": "confirm_asked",
        "message": "confirm_message_every" if email.every_months else "confirm_message",
        "button": "confirm_button",
        "after": "confirm_silence",
        "thanks": "thanks",
        "signature": "signature",
        "why": "confirm_why",
    }


def bare_url(url: str) -> str:
    """Return a page's URL without its query and fragment, which may contain personal data."""
    return url.partition("#")[0].partition("?")[0]


def _format_day(date: datetime.date, email: ReminderEmail | NotificationEmail, lang: str) -> str:
    """Return a long date as the language of the email and the campaign's region write it."""
    return format_long_date(date, regional_language(lang, email.campaign_lang))


# Cached, because the emails of a day share few amounts, and Babel takes longer than everything else.
cached_format_money = lru_cache(maxsize=4096)(format_money)
cached_format_exact_money = lru_cache(maxsize=4096)(format_exact_money)


def _format_interval(months: int, texts: dict[str, str], lang: str) -> str:
    """Return "every month", "every year", or "every 3 months"."""
    whole = {1: "mail_every_month", 12: "mail_every_year"}
    return texts[whole[months]] if months in whole else format_plural(texts, lang, "mail_every_months", months)


def notification_content(email: NotificationEmail, lang: str) -> EmailContent:
    """Return the text of each part. `facts` are pairs of label and value."""
    texts = texts_for("notices", lang, {email.lang: email.texts, lang: email.texts})
    values = {
        "campaign": email.campaign_name,
        "amount": "" if email.money is None else cached_format_money(email.money, lang),
        "year": "" if email.event_date is None else str(email.event_date.year),
        "date": "" if email.event_date is None else _format_day(email.event_date, email, lang),
        "since": "" if email.since is None else _format_day(email.since, email, lang),
    }
    kind = email.kind
    common = {part: part for part in ("greeting", "thanks", "signature")}
    specific = {part: f"{kind}_{part}" for part in ("subject", "preview", "message", "button", "after", "why")}
    names = common | specific | {"asked": f"{kind}_asked"} | _PARTS_BY_KIND[kind](email)
    content: EmailContent = {
        part: texts[f"notice_{name}"].format_map(isolate_values(values, lang)) for part, name in names.items()
    }
    if facts := _facts(email, texts, lang):
        content["facts"] = facts
    if kind == EmailKind.RECEIPT and email.tax_line:
        content["tax_line"] = email.tax_line
    return content


def _facts(email: NotificationEmail, texts: dict[str, str], lang: str) -> list[tuple[str, str]]:
    """Return labels with their values; what is not known is left out."""
    date = None if email.event_date is None else _format_day(email.event_date, email, lang)
    match email.kind:
        case EmailKind.RECEIPT:
            facts = _receipt_facts(email, texts, lang, date=date)
        case EmailKind.REFUND:
            facts = {
                texts["notice_fact_refunded"]: _exact(email.money, lang),
                texts["notice_fact_paid"]: _exact(email.paid, lang),
                texts["notice_fact_net"]: _exact(email.net, lang),
                texts["notice_fact_date"]: date,
                texts["notice_fact_number"]: email.receipt_number,
            }
        case EmailKind.MONTHLY_YEARLY:
            facts = {
                texts["notice_fact_monthly_amount"]: _exact(email.money, lang),
                texts["notice_fact_since"]: None if email.since is None else _format_day(email.since, email, lang),
                texts["notice_fact_next_payment"]: date,
            }
        case _:
            facts = {}
    return [(label, fact) for label, fact in facts.items() if fact is not None]


def _receipt_facts(
    email: NotificationEmail, texts: dict[str, str], lang: str, *, date: str | None
) -> dict[str, str | None]:
    # The page of the receipt has these labels, too.
    page_texts = texts_for("me", lang, {email.lang: email.texts, lang: email.texts})
    method = email.method
    return {
        texts["notice_fact_received_by"]: email.legal_name or email.campaign_name,
        texts["notice_fact_number"]: email.receipt_number,
        page_texts["me_receipt_payment_number"]: email.payment_number,
        texts["notice_fact_date"]: date,
        texts["notice_fact_amount"]: _exact(email.money, lang),
        texts["notice_fact_fees"]: _exact(email.fees, lang),
        texts["notice_fact_net"]: _exact(email.net, lang),
        texts["notice_fact_frequency"]: email.frequency and texts[f"notice_frequency_{email.frequency}"],
        page_texts["me_receipt_method"]: None
        if method is None
        else describe_payment_method(method.kind, method.brand, method.last4, page_texts),
    }


def _exact(money: Money | None, lang: str) -> str | None:
    return None if money is None else cached_format_exact_money(money, lang)


def _receipt_parts(email: NotificationEmail) -> dict[str, str]:
    parts = {"asked": f"receipt_asked_{email.frequency}"}
    if email.links_to_pledge:
        # Beside the button to the pledge's page, a link to the page with all of the reader's pledges.
        parts |= {"button": "receipt_button_pledge", "after": "receipt_after_pledge", "link": "receipt_link"}
    return parts


def _payment_failed_parts(email: NotificationEmail) -> dict[str, str]:
    if email.frequency == Frequency.ONCE:
        # There is no second attempt, and no card on file.
        return {part: f"missed_once_{part}" for part in ("asked", "message", "button", "after", "why")}
    why = {"why": f"missed_why_{min(max(email.dunning_number, 1), MAX_DUNNING_EMAILS)}"}
    if email.needs_confirmation:
        parts = ("subject", "preview", "asked", "message", "button", "after")
        return why | {part: f"missed_confirm_{part}" for part in parts}
    parts_of_invoice = {"after": "missed_after_invoice", "link": "missed_link"} if email.invoice_url else {}
    return (
        why
        | parts_of_invoice
        | {
            "asked": f"missed_asked_{email.frequency}",
            "message": "missed_message" if email.event_date is None else "missed_message_next",
        }
    )


def _cancelled_parts(email: NotificationEmail) -> dict[str, str]:
    parts = {"asked": f"ended_asked_{'unpaid_' if email.is_unpaid else ''}{email.frequency}"}
    return parts | ({"message": "ended_message_transfer"} if email.has_transfer_on_its_way else {})


def _refund_parts(email: NotificationEmail) -> dict[str, str]:
    if email.links_to_pledge:
        return {"message": "refund_message_running", "button": "receipt_button_pledge"}
    return {"button": "receipt_button"}


def _running_parts(_email: NotificationEmail) -> dict[str, str]:
    return {"button": "renewal_button", "after": "renewal_after"}


def _changed_parts(email: NotificationEmail) -> dict[str, str]:
    asked = f"changed_asked_{email.frequency}"
    is_dated = email.event_date is not None
    parts = {"preview": "paused_preview", "message": "changed_message"}
    undated = {"preview": asked, "message": "changed_message_undated"}
    return _running_parts(email) | {"asked": asked} | (parts if is_dated else undated)


def _pause_missed_parts(email: NotificationEmail) -> dict[str, str]:
    return _running_parts(email) | {"button": "receipt_button_pledge"}


def _resumed_parts(email: NotificationEmail) -> dict[str, str]:
    undated = {"preview": "resumed_asked_undated", "asked": "resumed_asked_undated"}
    return _running_parts(email) | ({"preview": "paused_preview"} if email.event_date is not None else undated)


def _email_changed_parts(email: NotificationEmail) -> dict[str, str]:
    names = ("message", "button", "after") if email.can_be_undone else ()
    return {name: f"email_changed_undo_{name}" for name in names}


def _no_other_parts(_email: NotificationEmail) -> dict[str, str]:
    return {}


_PARTS_BY_KIND = {
    EmailKind.RECEIPT: _receipt_parts,
    EmailKind.PAYMENT_FAILED: _payment_failed_parts,
    EmailKind.RENEWAL: _no_other_parts,
    EmailKind.CANCELLED: _cancelled_parts,
    EmailKind.REFUND: _refund_parts,
    EmailKind.MONTHLY_YEARLY: _running_parts,
    EmailKind.YEARLY_RECEIPT: _no_other_parts,
    EmailKind.PAUSED: _running_parts,
    EmailKind.RESUMING: _running_parts,
    EmailKind.PAUSE_MISSED: _pause_missed_parts,
    EmailKind.RESUMED: _resumed_parts,
    EmailKind.CHANGED: _changed_parts,
    EmailKind.SIGN_IN: _no_other_parts,
    EmailKind.EMAIL_CHANGE: _no_other_parts,
    EmailKind.EMAIL_CHANGED: _email_changed_parts,
    EmailKind.ERASURE: _no_other_parts,
}
