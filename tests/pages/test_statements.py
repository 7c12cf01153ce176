"""Statements of a reader's payments: whose, of which days, in which language, and equal to the ledger."""

import csv
import datetime
import io
import re
import uuid
from dataclasses import dataclass
from decimal import Decimal

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from sqlalchemy import select, text

from schemas.enums import DisputeStatus, PaymentStatus
from schemas.translations import available_languages
from service.container import Container
from service.db.base import new_id
from service.db.models.campaign import Campaign
from service.db.models.payment import Dispute, Payment, Refund
from service.db.models.pledge import Pledge
from service.db.models.supporter import Supporter
from service.domain.ledger.totals import totals_by_pledge_query
from service.domain.money import Money, exponent, format_exact_money, format_major_units
from service.pages.statement_csv import COLUMNS
from service.pages.translations import Texts
from tests.pages.accounts import create_paid_pledge, form_to, page, sign_in, stored, the_payment
from tests.pages.html import BROWSER, visible_text

UTC = datetime.UTC
YEAR = "year=2026"


def download(client: FlaskClient, query: str = YEAR, *, file_format: str, lang: str = "en") -> bytes:
    response = client.get(f"/me/statements?{query}&format={file_format}&lang={lang}", headers=BROWSER)
    assert response.status_code == 200
    return response.data


def csv_rows(client: FlaskClient, query: str = YEAR, lang: str = "en") -> list[dict[str, str]]:
    content = download(client, query, file_format="csv", lang=lang).decode("utf-8-sig")
    header, *rows = csv.reader(io.StringIO(content))
    assert header == [Texts(lang, {})[name] for name in COLUMNS]
    return [dict(zip([name.removeprefix("statement_") for name in COLUMNS], row, strict=True)) for row in rows]


def pdf_reader(client: FlaskClient, query: str = YEAR, lang: str = "en") -> PdfReader:
    return PdfReader(io.BytesIO(download(client, query, file_format="pdf", lang=lang)))


def pdf_text(client: FlaskClient, query: str = YEAR, lang: str = "en") -> str:
    pages = [found.extract_text() for found in pdf_reader(client, query, lang).pages]
    return re.sub(r"\s+", " ", " ".join(pages))


def pay(container: Container, pledge_id: str, at: datetime.datetime, amount: int = 500) -> uuid.UUID:
    """Record a payment of a pledge; return its id."""
    with container.database.transaction() as session:
        pledge = session.get_one(Pledge, uuid.UUID(pledge_id))
        payment = Payment(
            id=new_id(),
            pledge_id=pledge.id,
            status=PaymentStatus.SUCCEEDED,
            amount_minor=amount,
            currency=pledge.currency,
            gateway="stripe",
            gateway_reference=str(new_id()),
            paid_at=at,
        )
        session.add(payment)
        return payment.id


def refund(container: Container, payment_id: uuid.UUID, amount: int, at: datetime.datetime) -> None:
    with container.database.transaction() as session:
        payment = session.get_one(Payment, payment_id)
        session.add(
            Refund(
                payment_id=payment.id,
                status="succeeded",
                amount_minor=amount,
                currency=payment.currency,
                gateway_reference=str(new_id()),
                created_at=at,
            )
        )


@pytest.fixture
def reader(container: Container, client: FlaskClient) -> str:
    """Return the pledge of $2 a month of a signed-in reader, paid once in the sandbox on 23 November 2026."""
    pledge_id = create_paid_pledge(container, client)
    sign_in(container, client)
    return pledge_id


def test_statement_needs_a_session(client: FlaskClient) -> None:
    for path in ("/me/statements", f"/me/statements?{YEAR}&format=pdf"):
        response = client.get(path, headers=BROWSER)
        assert (response.status_code, response.location) == (303, "/me")


def test_account_leads_to_the_years_with_payments(container: Container, client: FlaskClient, reader: str) -> None:
    assert "/me/statements?lang=en" in page(client, "/me?lang=en")
    pay(container, reader, datetime.datetime(2024, 5, 1, tzinfo=UTC))
    html = page(client, "/me/statements?lang=en")
    assert "2026 so far PDF CSV 2024 PDF CSV" in visible_text(html)
    assert "2025" not in visible_text(html)
    for label in ("PDF for 2026 so far", "CSV for 2024"):
        assert f'aria-label="{label}"' in html


def test_reader_without_payments_is_told_so(container: Container, client: FlaskClient, reader: str) -> None:
    with container.database.transaction() as session:
        session.execute(text("DELETE FROM payments"))
    html = page(client, "/me/statements?lang=en")
    assert "You haven’t made any payments yet." in visible_text(html)
    assert 'name="from"' not in html


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("from=&to=2026-01-31", "from", "Enter the first day, such as 2026-01-31."),
        ("from=2026-13-01&to=2026-01-31", "from", "Enter the first day, such as 2026-01-31."),
        ("from=2026-01-01", "to", "Enter the last day, such as 2026-01-31."),
        ("from=2026-01-01&to=31.01.2026", "to", "Enter the last day, such as 2026-01-31."),
        ("from=2026-03-02&to=2026-03-01", "to", "The last day must be on or after the first, March 2, 2026."),
        ("year=20266", "from", "Enter the first day, such as 2026-01-31."),
    ],
)
@pytest.mark.parametrize("file_format", ["pdf", "csv"])
def test_unusable_days_are_explained_beside_their_field(
    client: FlaskClient, reader: str, query: str, field: str, message: str, file_format: str
) -> None:
    html = page(client, f"/me/statements?{query}&format={file_format}&lang=en", status=422)
    assert message in visible_text(html).replace("\xa0", " ")
    assert re.search(rf'<input id="{field}"[^>]* aria-invalid="true"', html)


def test_period_without_payments_says_so(client: FlaskClient, reader: str) -> None:
    html = page(client, "/me/statements?from=2025-01-01&to=2025-12-31&format=pdf&lang=en")
    shown = visible_text(html).replace("\xa0", " ")
    assert "You made no payments from January 1, 2025 to December 31, 2025. Choose other dates." in shown
    assert 'value="2025-01-01"' in html


def test_payment_belongs_to_its_day_in_the_campaigns_zone(
    container: Container, client: FlaskClient, reader: str
) -> None:
    with container.database.transaction() as session:
        session.scalars(select(Campaign)).one().timezone = "Pacific/Auckland"
    pay(container, reader, datetime.datetime(2025, 12, 31, 11, 30, tzinfo=UTC), 700)
    pay(container, reader, datetime.datetime(2025, 12, 31, 10, 30, tzinfo=UTC), 900)
    assert [(row["date"], row["paid"]) for row in csv_rows(client)] == [
        ("2026-01-01", "7.00"),
        ("2026-11-23", "2.00"),
    ]
    assert [row["paid"] for row in csv_rows(client, "year=2025")] == ["9.00"]
    assert [row["paid"] for row in csv_rows(client, "from=2025-12-31&to=2026-01-01")] == ["9.00", "7.00"]


def test_refund_of_the_next_year_is_deducted_from_its_payment_and_only_mentioned_in_its_own_year(
    container: Container, client: FlaskClient, reader: str
) -> None:
    payment_id = pay(container, reader, datetime.datetime(2025, 12, 30, 12, tzinfo=UTC), 1000)
    refund(container, payment_id, 250, datetime.datetime(2026, 1, 4, 12, tzinfo=UTC))
    [row] = csv_rows(client, "year=2025")
    assert (row["paid"], row["returned"], row["net"]) == ("10.00", "2.50", "7.50")
    assert row["remarks"] == "$2.50 USD refunded on 2026-01-04".replace(" USD", "\xa0USD")
    earlier = pdf_text(client, "year=2025")
    assert "$2.50 USD refunded on Jan 4, 2026" in earlier
    assert "Total, USD $10.00 USD $2.50 USD $7.50 USD" in earlier
    later = pdf_text(client, "year=2026")
    assert "Returned in this period, of earlier payments" in later
    assert f"$2.50 USD refunded on Jan 4, 2026: payment on Dec 30, 2025, receipt {row['number']}" in later
    assert "Total, USD $2.00 USD $0.00 USD $2.00 USD" in later
    assert [row["returned"] for row in csv_rows(client, "year=2026")] == ["0.00"]


def test_statement_names_the_payee_its_address_and_tax_line_and_the_reader(
    container: Container, client: FlaskClient, reader: str
) -> None:
    with container.database.transaction() as session:
        campaign = session.scalars(select(Campaign)).one()
        campaign.legal_name, campaign.tax_line = "Lantern Trust Ltd", "=Not tax deductible."
        campaign.brand = {"postal_address": "1 Rope Street\nSaltmere"}
    payment_id = the_payment(container)
    shown = pdf_text(client)
    for expected in (
        "Statement of payments",
        "January 1, 2026 to December 31, 2026",
        "Paid by reader@example.org",
        "Issued on November 23, 2026",
        "Lantern Trust Ltd 1 Rope Street Saltmere =Not tax deductible.",
        "Test payments: no money has moved.",
        "The Harbour Lantern Monthly",
        "Page 1 of 1",
    ):
        assert expected in shown
    [row] = csv_rows(client)
    assert row["payee"] == "Lantern Trust Ltd"
    assert row["address"] == "1 Rope Street, Saltmere"
    assert row["tax"] == "'=Not tax deductible."
    assert row["remarks"] == "Test payments: no money has moved."
    assert row["number"] in page(client, f"/me/receipts/{payment_id}")
    assert row["number"] in shown


def test_year_that_is_over_is_headed_as_its_receipt(
    container: Container, client: FlaskClient, reader: str
) -> None:
    container.clock.advance(days=40)
    sign_in(container, client)
    reader_of_year = pdf_reader(client)
    assert "Receipt for 2026" in reader_of_year.pages[0].extract_text()
    assert reader_of_year.metadata.title == "Receipt for 2026"
    assert reader_of_year.trailer["/Root"]["/Lang"] == "en"
    assert pdf_reader(client, "from=2026-11-01&to=2026-11-30").metadata.title == "Statement of payments"


@pytest.mark.parametrize("file_format", ["pdf", "csv"])
@pytest.mark.parametrize(
    "query",
    [
        "year=0001",
        "year=9999",
        "from=0001-01-01&to=0001-01-01",
        "from=9999-12-31&to=9999-12-31",
        "from=0001-01-01&to=9999-12-31",
    ],
)
def test_days_at_the_ends_of_the_calendar_are_no_error(
    client: FlaskClient, reader: str, query: str, file_format: str
) -> None:
    response = client.get(f"/me/statements?{query}&format={file_format}", headers=BROWSER)
    assert response.status_code == 200
    is_file = "attachment" in response.headers.get("Content-Disposition", "")
    # Whoever asks for all days gets all payments.
    assert is_file == (query == "from=0001-01-01&to=9999-12-31")


@pytest.mark.parametrize("file_format", ["pdf", "csv"])
def test_file_is_a_download_that_nobody_stores(client: FlaskClient, reader: str, file_format: str) -> None:
    response = client.get(f"/me/statements?{YEAR}&format={file_format}", headers=BROWSER)
    assert response.headers["Content-Disposition"] == f'attachment; filename="statement-2026.{file_format}"'
    assert response.headers["Cache-Control"] == "no-store"
    named = client.get(f"/me/statements?from=2026-11-01&to=2026-11-30&format={file_format}", headers=BROWSER)
    assert "statement-2026-11-01-2026-11-30" in named.headers["Content-Disposition"]


def test_another_readers_payments_are_not_in_it(container: Container, client: FlaskClient, reader: str) -> None:
    create_paid_pledge(container, client, email="friend@example.org", amount=900)
    assert [row["paid"] for row in csv_rows(client)] == ["2.00"]
    assert "friend" not in pdf_text(client)


def test_failed_payments_are_not_in_it(container: Container, client: FlaskClient, reader: str) -> None:
    failed = pay(container, reader, container.clock(), 700)
    with container.database.transaction() as session:
        session.get_one(Payment, failed).status = PaymentStatus.FAILED
    assert [row["paid"] for row in csv_rows(client)] == ["2.00"]


@pytest.mark.parametrize("lang", available_languages())
def test_statement_is_in_the_readers_language(
    container: Container, client: FlaskClient, reader: str, lang: str
) -> None:
    container.clock.advance(days=40)
    sign_in(container, client)
    found = pdf_reader(client, lang=lang)
    title = Texts(lang, {}).format("statement_heading_year", year="2026")
    assert found.metadata.title == re.sub("[\u2066-\u2069]", "", title)
    assert found.trailer["/Root"]["/Lang"] == lang
    words = found.pages[0].extract_text()
    assert "2.00" in words or "2,00" in words
    assert csv_rows(client, lang=lang)[0]["frequency"] == Texts(lang, {}).monthly


def test_arabic_statement_is_shaped_and_from_right_to_left(
    container: Container, client: FlaskClient, reader: str
) -> None:
    places: dict[str, float] = {}

    def visit(shown: str, _cm: object, matrix: list[float], _font: object, _size: float) -> None:
        if shown.strip():
            places[shown.strip()] = matrix[4]

    found = pdf_reader(client, lang="ar")
    found.pages[0].extract_text(visitor_text=visit)
    number = csv_rows(client)[0]["number"]
    [number_at] = [x for shown, x in places.items() if number in shown]
    [amount_at, *_] = [x for shown, x in places.items() if "2.00" in shown]
    # The number is nearer to the right edge, where the reading begins, than the amounts.
    assert number_at > amount_at


@dataclass(frozen=True)
class Paid:
    """One payment of a random history, and what comes back of it, in minor units."""

    is_euro: bool
    amount: int
    day: int
    refunds: tuple[int, ...]
    withheld: int
    status: DisputeStatus


@st.composite
def payments(draw: st.DrawFn) -> Paid:
    amount = left = draw(st.integers(2, 1_000_000))
    refunds = []
    for _ in range(draw(st.integers(0, 2))):
        if left > 1:
            refunds.append(draw(st.integers(1, left)))
            left -= refunds[-1]
    status = draw(st.sampled_from([DisputeStatus.OPEN, DisputeStatus.LOST, DisputeStatus.WON]))
    withheld = 0 if status == DisputeStatus.WON or not left else draw(st.sampled_from([0, left]))
    return Paid(draw(st.booleans()), amount, draw(st.integers(0, 500)), tuple(refunds), withheld, status)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(payments(), max_size=12))
def test_every_number_equals_the_ledger(
    container: Container, client: FlaskClient, reader: str, history: list[Paid]
) -> None:
    """Random payments with refunds and disputes in two currencies, some of them of another year."""
    pledges = [reader, _euro_pledge(container, reader)]
    _replace_history(container, pledges, history)
    query = "from=2026-01-01&to=2026-12-31"
    with container.database.read_only() as session:
        first, last = datetime.datetime(2026, 1, 1, tzinfo=UTC), datetime.datetime(2027, 1, 1, tzinfo=UTC)
        in_year = Payment.paid_at.between(first, last - datetime.timedelta(microseconds=1))
        rows = session.execute(totals_by_pledge_query(paid_when=in_year)).all()
        currencies = {row.id: row.currency for row in session.execute(select(Pledge.id, Pledge.currency))}
        ledger = {currencies[row.pledge_id]: int(row.paid_minor) for row in rows}
        paid = session.execute(select(Payment.id, Payment.amount_minor, Payment.currency).where(in_year)).all()
    response = client.get(f"/me/statements?{query}&format=csv&lang=en", headers=BROWSER)
    if not paid:
        assert response.mimetype == "text/html" or not csv_rows(client, query)
        return
    found = csv_rows(client, query)
    assert len(found) == len(paid)
    # How far apart the columns are does not matter.
    shown = re.sub(r"\s", "", pdf_text(client, query))
    for currency, net in ledger.items():
        own = [row for row in found if row["currency"] == currency]
        sums = {name: sum(_minor(row[name], currency) for row in own) for name in ("paid", "returned", "net")}
        assert sums["net"] == net
        assert sums["paid"] == sum(row.amount_minor for row in paid if row.currency == currency)
        assert sums["paid"] - sums["returned"] == net
        total = "".join(_exact(amount, currency) for amount in sums.values())
        assert f"Total,{currency}{total}" in shown
        for row in own:
            amounts = "".join(_exact(_minor(row[name], currency), currency) for name in sums)
            assert f"{row['number']}TheHarbourLanternMonthly{amounts}" in shown
    assert shown.count("Total,") == len(ledger)


def _minor(shown: str, currency: str) -> int:
    amount = Decimal(shown).scaleb(exponent(currency))
    assert shown == format_major_units(Money(int(amount), currency))
    return int(amount)


def _exact(amount: int, currency: str) -> str:
    return format_exact_money(Money(amount, currency), "en").replace("\xa0", "")


def _euro_pledge(container: Container, pledge_id: str) -> str:
    """Return a pledge of the same reader in euros, made at the first call."""
    first = stored(container, pledge_id)
    with container.database.transaction() as session:
        found = session.scalar(select(Pledge.id).where(Pledge.currency == "EUR"))
        if found is None:
            columns = {column.name: getattr(first, column.name) for column in Pledge.__table__.columns}
            found = new_id()
            session.add(Pledge(**columns | {"id": found, "currency": "EUR", "gateway_reference": str(found)}))
        return str(found)


def _replace_history(container: Container, pledges: list[str], history: list[Paid]) -> None:
    with container.database.transaction() as session:
        for table in ("refunds", "disputes", "emails", "payments"):
            session.execute(text(f"DELETE FROM {table}"))
    for item in history:
        at = datetime.datetime(2025, 10, 1, 12, tzinfo=UTC) + datetime.timedelta(days=item.day)
        payment_id = pay(container, pledges[item.is_euro], at, item.amount)
        for amount in item.refunds:
            refund(container, payment_id, amount, at + datetime.timedelta(days=20))
        with container.database.transaction() as session:
            session.add(
                Dispute(
                    payment_id=payment_id,
                    status=item.status,
                    amount_minor=item.amount,
                    withheld_minor=item.withheld,
                    currency="EUR" if item.is_euro else "USD",
                    gateway_reference=str(new_id()),
                    opened_at=at + datetime.timedelta(days=1),
                )
            )


def test_reader_chooses_one_receipt_a_year_and_takes_it_back(
    container: Container, client: FlaskClient, reader: str
) -> None:
    for value, is_yearly in (("yearly", True), ("each", False)):
        form = form_to(page(client, "/me/statements?lang=en"), "/receipts")
        response = client.post(form.action, data={"receipts": value}, headers=BROWSER)
        assert response.status_code == 303
        html = page(client, response.location)
        assert "Saved." in visible_text(html)
        assert re.search(rf'value="{value}" checked', html)
        with container.database.read_only() as session:
            assert session.scalars(select(Supporter.yearly_receipts)).one() == is_yearly


def test_choice_of_receipts_needs_a_session_of_this_site(client: FlaskClient, reader: str) -> None:
    path = "/me/statements/receipts"
    crossing = client.post(path, data={"receipts": "yearly"}, headers=BROWSER | {"Sec-Fetch-Site": "cross-site"})
    assert crossing.status_code == 403
    client.post("/me/leave")
    assert client.post(path, data={"receipts": "yearly"}, headers=BROWSER).location.startswith("/me/statements")
