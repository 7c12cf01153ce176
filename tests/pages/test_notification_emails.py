"""What notices say, in both their parts and both their languages."""

import datetime
import string
from email.message import EmailMessage
from typing import Any

import pytest

from schemas.enums import Frequency, NotificationKind
from schemas.translations import load_texts, text_names
from service.domain.money import Money
from service.gateways.email.renderer import EmailRenderer
from tests.gateways.emails import parse
from tests.gateways.notifications import RECEIPT, VARIANTS, notification
from tests.pages.html import visible_text

NOW = datetime.datetime(2026, 12, 1, 9, 0, tzinfo=datetime.UTC)
LINE_OF_TAX = "EIN 12-3456789. No goods or services were given in return."


def write(**changes: Any) -> EmailMessage:
    return parse(EmailRenderer("The Paper <support@paper.example>", lambda: NOW).render(notification(**changes)))


def sources(message: EmailMessage) -> tuple[str, str]:
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    return text, html


def parts(**changes: Any) -> tuple[str, str]:
    """Return what a reader of the plain text reads, and a reader of the HTML."""
    text, html = sources(write(**changes))
    return " ".join(text.split()), visible_text(html)


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(map(str, variant.values()))[:60])
def test_every_word_is_filled_in_and_one_button_leads_on(variant: dict[str, Any], lang: str) -> None:
    message = write(lang=lang, **variant)
    assert message["Content-Language"] == lang
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == "<notice-1@desk.test>"
    for source in sources(message):
        assert not set("{}") & set(source.partition("</style>")[2] or source)
        assert "None" not in source
    text, html = sources(message)
    assert html.count('class="give"') == 1
    assert html.count("http://desk.test/p/token") == text.count("http://desk.test/p/token") == 1


@pytest.mark.parametrize("kind", NotificationKind)
def test_nobody_can_unsubscribe_from_what_they_must_be_told(kind: NotificationKind) -> None:
    message = write(kind=kind, **({"frequency": None} if kind == NotificationKind.SIGN_IN else {}))
    assert message["List-Unsubscribe"] is None
    assert message["List-Unsubscribe-Post"] is None


def test_every_text_is_used_by_some_notice() -> None:
    used: set[str] = set()
    for variant in VARIANTS:
        for lang in ("en",):
            said = " ".join(parts(lang=lang, **variant)) + str(write(lang=lang, **variant)["Subject"])
            for name, words in load_texts("notices", "en").items():
                fixed = [piece for piece, *_ in string.Formatter().parse(words)]
                if all(" ".join(piece.split()) in said for piece in fixed):
                    used.add(name)
    assert load_texts("notices", "en").keys() - used == set()


def test_a_receipt_bears_what_a_tax_office_asks_for() -> None:
    for said in parts(**RECEIPT):
        for fact in (
            "The Paper Foundation",
            "2026-7K3Q-9XTM-4BHF",
            "December 23, 2026",
            "$7.50",
            "$0.52",
            LINE_OF_TAX,
        ):
            assert fact in said


def test_without_a_tax_line_a_receipt_claims_nothing_of_tax() -> None:
    for said in parts(receipt_number="2026-7K3Q-9XTM-4BHF"):
        assert "in return" not in said
        assert "tax" not in said.lower()
        assert "Received by" in said
        assert "to cover the fees" not in said


def test_a_tax_line_is_printed_as_it_stands_whatever_it_holds() -> None:
    for said in parts(**(RECEIPT | {"tax_line": "Braces {campaign} & <b>tags</b>"})):
        assert "Braces {campaign} & <b>tags</b>" in said


def test_markup_in_a_newsrooms_words_is_text() -> None:
    _, html = sources(
        write(**(RECEIPT | {"campaign_name": "<i>P</i>", "tax_line": "<b>t</b>", "legal_name": "<u>"}))
    )
    for mark in ("<i>", "<b>", "<u>"):
        assert mark not in html


def test_a_missed_payment_says_when_the_next_try_is_and_how_many_mails_come() -> None:
    for number, words in ((1, "first of at most three"), (2, "second of at most"), (3, "third and last")):
        for said in parts(kind=NotificationKind.PAYMENT_FAILED, dunning_number=number):
            assert "We will try again on December 23, 2026." in said
            assert words in said
            assert "Update the card" in said


def test_a_missed_payment_without_a_next_try_names_no_day() -> None:
    for said in parts(kind=NotificationKind.PAYMENT_FAILED, event_date=None):
        assert "again" not in said
        assert "2026" not in said.replace("2026-", "")


def test_a_renewal_says_amount_date_and_how_to_cancel() -> None:
    for said in parts(kind=NotificationKind.RENEWAL, frequency=Frequency.ANNUAL, money=Money(6000, "USD")):
        assert "renews on December 23, 2026" in said
        assert "$60" in said
        assert "Cancel or change your support" in said


@pytest.mark.parametrize(("is_unpaid", "why"), [(False, "as you wished"), (True, "did not go through")])
def test_an_end_says_why_and_that_nothing_more_is_taken(is_unpaid: bool, why: str) -> None:
    for said in parts(kind=NotificationKind.CANCELLED, is_unpaid=is_unpaid):
        assert why in said
        assert "Nothing more will be taken" in said
        assert "Begin again" in said


def test_a_link_to_sign_in_says_how_long_it_is_good_and_what_to_do_with_anothers() -> None:
    for said in parts(kind=NotificationKind.SIGN_IN, frequency=None, money=None, event_date=None):
        assert "opens once, within 15 minutes" in said
        assert "If it was not you, ignore this mail" in said


def test_a_campaign_may_say_notices_differently() -> None:
    message = write(texts={"notice_receipt_subject": "Merci from {campaign}"})
    assert message["Subject"] == "Merci from The Paper"


@pytest.mark.parametrize(
    ("money", "lang", "written"),
    [
        (Money(750, "JPY"), "en", "¥750"),
        (Money(7500, "KWD"), "en", "KWD 7.5"),
        (Money(750, "EUR"), "ru", "7,5"),
    ],
)
def test_amounts_are_written_as_their_currency_is(money: Money, lang: str, written: str) -> None:
    for said in parts(money=money, lang=lang, receipt_number="2026-1"):
        assert written in said.replace("\N{NO-BREAK SPACE}", " ")


def test_every_text_of_a_notice_is_one_that_a_campaign_may_say_differently() -> None:
    assert load_texts("notices", "en").keys() <= text_names()
