"""The content of notification emails, in both parts and both languages."""

import datetime
import string
from email.message import EmailMessage
from typing import Any

import pytest

from schemas.enums import EmailKind, Frequency
from schemas.translations import load_texts, text_names
from service.domain.money import Money
from service.domain.ports import AlertEmail
from service.domain.reminders.queue import KINDS as REMINDER_KINDS
from service.gateways.email.renderer import EmailRenderer
from tests.gateways.emails import parse
from tests.gateways.notifications import RECEIPT, VARIANTS, notification
from tests.pages.html import visible_text

NOW = datetime.datetime(2026, 12, 1, 9, 0, tzinfo=datetime.UTC)
TAX_LINE = "EIN 12-3456789. No goods or services were given in return."


def render(**changes: Any) -> EmailMessage:
    return parse(EmailRenderer("The Paper <support@paper.example>", lambda: NOW).render(notification(**changes)))


def sources(message: EmailMessage) -> tuple[str, str]:
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    return text, html


def parts(**changes: Any) -> tuple[str, str]:
    """Return the visible text of the plain part and of the HTML part."""
    text, html = sources(render(**changes))
    return " ".join(text.split()), visible_text(html)


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(map(str, variant.values()))[:60])
def test_email_has_no_unfilled_placeholders_and_one_button(variant: dict[str, Any], lang: str) -> None:
    message = render(lang=lang, **variant)
    assert message["Content-Language"] == lang
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == "<notice-1@desk.test>"
    for source in sources(message):
        assert not set("{}") & set(source.partition("</style>")[2] or source)
        assert "None" not in source
    text, html = sources(message)
    assert html.count('class="give"') == 1
    assert html.count("http://desk.test/p/token") == text.count("http://desk.test/p/token") == 1


@pytest.mark.parametrize("kind", [kind for kind in EmailKind if kind not in (*REMINDER_KINDS, EmailKind.ALERT)])
def test_notifications_have_no_unsubscribe_headers(kind: EmailKind) -> None:
    assert_no_unsubscribe_headers(render(kind=kind, **({"frequency": None} if kind == EmailKind.SIGN_IN else {})))


def test_alerts_have_no_unsubscribe_headers() -> None:
    alert = AlertEmail(message_id="<1@desk.test>", to="staff@paper.example", subject="A", paragraphs=("B",))
    assert_no_unsubscribe_headers(parse(EmailRenderer("support@paper.example", lambda: NOW).render(alert)))


def assert_no_unsubscribe_headers(message: EmailMessage) -> None:
    assert message["Subject"]
    assert message["List-Unsubscribe"] is None
    assert message["List-Unsubscribe-Post"] is None


def test_every_text_is_used_by_a_notification() -> None:
    used: set[str] = set()
    for variant in VARIANTS:
        for lang in ("en",):
            content = " ".join(parts(lang=lang, **variant)) + str(render(lang=lang, **variant)["Subject"])
            for name, template in load_texts("notices", "en").items():
                fixed = [piece for piece, *_ in string.Formatter().parse(template)]
                if all(" ".join(piece.split()) in content for piece in fixed):
                    used.add(name)
    assert load_texts("notices", "en").keys() - used == set()


def test_receipt_has_the_details_for_tax_authorities() -> None:
    for content in parts(**RECEIPT):
        for expected in (
            "The Paper Foundation",
            "2026-7K3Q-9XTM-4BHF",
            "December 23, 2026",
            "$7.50 USD",
            "$0.52 USD",
            "Visa ••4242",
            "ch_3Qk2",
            "Monthly",
            TAX_LINE,
        ):
            assert expected in content


def test_receipt_without_tax_line_makes_no_tax_claim() -> None:
    for content in parts(receipt_number="2026-7K3Q-9XTM-4BHF"):
        assert "in return" not in content
        assert "tax" not in content.lower()
        assert "Paid to" in content
        assert "card fees" not in content


def test_tax_line_is_printed_verbatim() -> None:
    for content in parts(**(RECEIPT | {"tax_line": "Braces {campaign} & <b>tags</b>"})):
        assert "Braces {campaign} & <b>tags</b>" in content


def test_markup_in_campaign_texts_is_escaped() -> None:
    _, html = sources(
        render(**(RECEIPT | {"campaign_name": "<i>P</i>", "tax_line": "<b>t</b>", "legal_name": "<u>"}))
    )
    for tag in ("<i>", "<b>", "<u>"):
        assert tag not in html


def test_payment_failure_has_next_attempt_and_dunning_number() -> None:
    for number, expected in ((1, "first of at most three"), (2, "second of at most"), (3, "third and last")):
        for content in parts(kind=EmailKind.PAYMENT_FAILED, dunning_number=number):
            assert "We’ll try again on December 23, 2026." in content
            assert expected in content
            assert "Update your card" in content


def test_payment_failure_without_next_attempt_has_no_date() -> None:
    for content in parts(kind=EmailKind.PAYMENT_FAILED, event_date=None):
        assert "again" not in content
        assert "2026" not in content.replace("2026-", "")


def test_renewal_has_amount_date_and_cancel_link() -> None:
    for content in parts(kind=EmailKind.RENEWAL, frequency=Frequency.ANNUAL, money=Money(6000, "USD")):
        assert "renews on December 23, 2026" in content
        assert "$60" in content
        assert "Change or cancel your support" in content


@pytest.mark.parametrize(
    ("is_unpaid", "reason"),
    [(False, "cancelled on December 23, 2026."), (True, "because your last payments didn’t go through")],
)
def test_cancellation_has_reason_and_no_further_charge(is_unpaid: bool, reason: str) -> None:
    for content in parts(kind=EmailKind.CANCELLED, is_unpaid=is_unpaid):
        assert reason in content
        assert "You won’t be charged again." in content
        assert "Support us again" in content


def test_sign_in_email_has_lifetime_and_advice_to_ignore() -> None:
    for content in parts(kind=EmailKind.SIGN_IN, frequency=None, money=None, event_date=None):
        assert "expires in 15 minutes and works once" in content
        assert "If it wasn’t you, ignore this email" in content


def test_campaign_overrides_notification_texts() -> None:
    message = render(texts={"notice_receipt_subject": "Merci from {campaign}"})
    assert message["Subject"] == "Merci from The Paper"


@pytest.mark.parametrize(
    ("money", "lang", "expected"),
    [
        (Money(750, "JPY"), "en", "¥750"),
        (Money(7500, "KWD"), "en", "KWD 7.5"),
        (Money(750, "EUR"), "ru", "7,5"),
    ],
)
def test_amounts_are_formatted_by_currency_and_language(money: Money, lang: str, expected: str) -> None:
    for content in parts(money=money, lang=lang, receipt_number="2026-1"):
        assert expected in content.replace("\N{NO-BREAK SPACE}", " ")


def test_notification_texts_can_be_overridden() -> None:
    assert load_texts("notices", "en").keys() <= text_names("en")
