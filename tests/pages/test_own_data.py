"""Downloading one's own data: everything about the supporter, nothing of others, nothing secret."""

import csv
import datetime
import io
import json
import re
import tracemalloc
import uuid
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Column, LargeBinary, Table, insert, select, update
from sqlalchemy.sql.elements import Label, TypeCoerce
from werkzeug.test import TestResponse

from schemas.enums import EmailKind
from schemas.translations import available_languages
from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db.base import new_id
from service.db.models import Base
from service.db.models.admin import AuditEntry
from service.db.models.campaign import Campaign
from service.db.models.customer import CustomerUpdate
from service.db.models.email import OutgoingEmail
from service.db.models.email_change import EmailChange
from service.db.models.erasure import ErasureRequest
from service.db.models.payment import Dispute, FraudWarning, GatewayEvent, Payment, Refund
from service.db.models.pledge import FormerSubscription, Pledge, PledgeStatusChange
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.db.models.sign_in import SignIn
from service.db.models.supporter import Supporter
from service.db.types import EncryptedText
from service.domain.email.suppression import suppress
from service.domain.privacy.own_data import EXCLUDED_COLUMNS, EXCLUDED_TABLES, SECTIONS, Owner, Section, find_owner
from service.domain.privacy.own_data_archive import write_archive
from service.domain.supporters import get_or_create_supporter
from service.settings import Settings
from tests.api.client import count, post_reminder
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.notifications import run
from tests.pages.accounts import READER, create_paid_pledge, form_to, page, request_link, sign_in, sign_in_link
from tests.pages.html import BROWSER, visible_text, without_signature

OTHER = "other@example.org"
OWNER = Owner(id=new_id(), suppression_hashes=())
DOWNLOAD = "/me/data/download"
MONEY = re.compile(r"-?\d+(\.\d+)?")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def exported_columns(table: Table) -> set[str]:
    """Return the names of the table's columns that some section shows as they are."""
    shown = [column for section in SECTIONS for column in section.query(OWNER).selected_columns]
    found = set()
    for column in shown:
        inner: Any = column
        while isinstance(inner, Label | TypeCoerce):
            inner = inner.element if isinstance(inner, Label) else inner.clause
        if isinstance(inner, Column) and inner.table is table:
            found.add(inner.name)
    return found


def concerns_supporters(table: Table, *, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a foreign key of the table leads to a supporter, directly or by way of other tables."""
    targets = {key.column.table for key in table.foreign_keys} - {table}
    return any(
        target.name == "supporters"
        or (target.name not in seen and concerns_supporters(target, seen=seen | {target.name}))
        for target in targets
    )


@pytest.mark.parametrize("table", Base.metadata.sorted_tables, ids=lambda table: table.name)
def test_every_column_is_exported_or_left_out_for_a_reason(table: Table) -> None:
    exported, excluded = exported_columns(table), EXCLUDED_COLUMNS.get(table.name, {})
    if table.name in EXCLUDED_TABLES:
        # A campaign's name is shown beside what is about it.
        assert exported <= ({"slug", "tax_line", "timezone"} if table.name == "campaigns" else set())
        assert excluded == {}
        assert len(EXCLUDED_TABLES[table.name]) > 20
        return
    assert exported | excluded.keys() == set(table.columns.keys())
    assert exported & excluded.keys() == set()
    assert all(len(reason) > 20 for reason in excluded.values())
    for name in exported:
        column = table.columns[name]
        assert isinstance(column.type, EncryptedText) or not isinstance(column.type, LargeBinary), name
        assert not re.search("hash|token|secret|key|url", name) or name in ("page_url", "return_url"), name


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_no_column_is_exported_twice(section: Section) -> None:
    assert len(section.columns) == len(set(section.columns))


def test_tables_that_lead_to_a_supporter_are_known() -> None:
    linked = {table.name for table in Base.metadata.sorted_tables if concerns_supporters(table)}
    exported = {table.name for table in Base.metadata.sorted_tables if exported_columns(table)}
    assert {"payments", "refunds", "reminder_status_changes", "emails", "gateway_events"} <= linked
    # Each of the rest is a hash, or the newsroom's own bookkeeping.
    assert linked - exported == {"balance_transactions", "gateway_event_addresses", "idempotency_keys"}
    known = {table.name for table in Base.metadata.sorted_tables}
    assert EXCLUDED_TABLES.keys() <= known
    assert EXCLUDED_COLUMNS.keys() <= known - EXCLUDED_TABLES.keys()


class Archive:
    """A downloaded archive, unpacked."""

    def __init__(self, response: TestResponse) -> None:
        assert response.status_code == 200, response.text
        self.archive = zipfile.ZipFile(io.BytesIO(response.data))
        assert self.archive.testzip() is None

    @property
    def readme(self) -> str:
        return self.archive.read("README.txt").decode("utf-8-sig")

    def json(self, section: str) -> list[dict[str, Any]]:
        return json.loads(self.archive.read(f"json/{section}.json"))

    def csv(self, section: str) -> list[dict[str, str]]:
        text = self.archive.read(f"csv/{section}.csv").decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text, newline="")))

    def text(self) -> str:
        return "\n".join(self.archive.read(name).decode() for name in self.archive.namelist())


def download(client: FlaskClient, lang: str = "en") -> Archive:
    return Archive(client.post(f"{DOWNLOAD}?lang={lang}", headers=BROWSER))


@pytest.fixture
def signed_in(container: Container, client: FlaskClient) -> str:
    """Create a pledge and sign in as its supporter; return the pledge's id."""
    pledge_id = create_paid_pledge(container, client)
    sign_in(container, client)
    return pledge_id


def insert_everything(container: Container, address: str, marker: str) -> uuid.UUID:
    """Insert a row into every exported table for a supporter, with the marker in its texts; return their id."""
    now = container.clock()
    pledge_id, payment_id, reminder_id, sign_in_id, change_id = (new_id() for _ in range(5))
    with container.database.transaction() as session:
        campaign_id = session.scalar(select(Campaign.id).where(Campaign.slug == "default"))
        supporter_id = get_or_create_supporter(session, address, now=now)
        suppress(session, address, reason="unsubscribe", now=now, scope="default")
        rows: list[tuple[type[Base], dict[str, Any]]] = [
            (
                Reminder,
                {"id": reminder_id, "campaign_id": campaign_id, "supporter_id": supporter_id, "status": "sent"}
                | {"months": 1, "due_on": now.date(), "due_at": now, "timezone": "UTC", "currency": "USD"}
                | {"lang": "en", "asked_at": now, "consent_version": f"{marker}-consent"},
            ),
            (
                ReminderStatusChange,
                {"reminder_id": reminder_id, "occurrence": 1, "event": "sign_up", "to_status": "scheduled"}
                | {"at": now, "reason": f"{marker}-reminder-change"},
            ),
            (
                Pledge,
                {"id": pledge_id, "campaign_id": campaign_id, "supporter_id": supporter_id, "status": "active"}
                | {"frequency": "monthly", "amount_minor": 750, "currency": "JPY", "gateway": "stripe"}
                | {"gateway_reference": f"{marker}-pledge", "created_at": now, "lang": "fr"}
                | {"checkout_url": f"https://pay.example/{marker}-secret"}
                | {"open_invoice_url": f"https://pay.example/{marker}-secret", "page_url": f"=HYPER({marker})"},
            ),
            (
                PledgeStatusChange,
                {"pledge_id": pledge_id, "event": f"{marker}-change", "to_status": "active", "at": now},
            ),
            (
                FormerSubscription,
                {"gateway": "stripe", "reference": f"{marker}-former", "pledge_id": pledge_id, "replaced_at": now},
            ),
            (
                Payment,
                {"id": payment_id, "pledge_id": pledge_id, "status": "succeeded", "amount_minor": 750}
                | {"currency": "USD", "gateway": "stripe", "gateway_reference": f"{marker}-payment"}
                | {"paid_at": now, "method_last4": "4242"},
            ),
            (
                Refund,
                {"payment_id": payment_id, "status": "succeeded", "amount_minor": 50, "currency": "USD"}
                | {
                    "gateway_reference": f"{marker}-refund",
                    "created_at": now,
                    "request_hash": marker.encode().ljust(32),
                },
            ),
            (
                Dispute,
                {"payment_id": payment_id, "status": "open", "amount_minor": 200, "withheld_minor": 200}
                | {"currency": "USD", "gateway_reference": f"{marker}-dispute", "opened_at": now},
            ),
            (
                FraudWarning,
                {"payment_id": payment_id, "gateway_reference": f"{marker}-warning", "kind": "x"}
                | {"warned_at": now},
            ),
            (
                GatewayEvent,
                {"gateway": "stripe", "reference": f"{marker}-event", "kind": "invoice.paid", "source": "webhook"}
                | {"status": "applied", "pledge_id": pledge_id, "payload": f"{marker}-secret"}
                | {"reason": f"{marker}-secret"}
                | dict.fromkeys(("occurred_at", "received_at", "next_attempt_at"), now),
            ),
            (
                CustomerUpdate,
                {"supporter_id": supporter_id, "gateway": "stripe", "customer_reference": f"{marker}-customer"}
                | {"requested_at": now},
            ),
            (ErasureRequest, {"supporter_id": supporter_id, "requested_at": now}),
            (SignIn, {"id": sign_in_id, "supporter_id": supporter_id, "asked_at": now}),
            (
                EmailChange,
                {"id": change_id, "supporter_id": supporter_id, "new_email": f"{marker}-new@example.org"}
                | {"new_email_hash": b"n" * 32, "requested_at": now},
            ),
            *(
                (
                    OutgoingEmail,
                    {"kind": kind, "dedup_key": f"{marker}-secret-{kind}", "priority": 1, "lang": "en"}
                    | {"status": "sent", "due_at": now, "created_at": now, "lease_number": 1, "attempts": 1}
                    | {"smtp_reply": f"{marker}-secret", "reason": f"{marker}-{kind}"}
                    | references,
                )
                for kind, references in (
                    (EmailKind.REMINDER, {"reminder_id": reminder_id, "occurrence": 1}),
                    (EmailKind.RECEIPT, {"pledge_id": pledge_id, "payment_id": payment_id}),
                    (EmailKind.SIGN_IN, {"supporter_id": supporter_id, "sign_in_id": sign_in_id}),
                )
            ),
        ]
        for table, row in rows:
            session.execute(insert(table).values(row))
    return supporter_id


def test_archive_has_all_of_the_supporter_and_nothing_of_others(container: Container, client: FlaskClient) -> None:
    insert_everything(container, READER, "mine")
    insert_everything(container, OTHER, "theirs")
    sign_in(container, client)
    archive = download(client)
    text = archive.text()
    assert "theirs" not in text
    assert OTHER not in text
    assert "secret" not in text
    for marker in ("pledge", "change", "former", "payment", "refund", "dispute", "warning", "event", "customer"):
        assert f"mine-{marker}" in text, marker
    for marker in ("consent", "reminder-change", "new@example.org", "receipt", "reminder", "sign_in"):
        assert f"mine-{marker}" in text, marker
    for section in SECTIONS:
        rows = archive.json(section.name)
        assert len(rows) == len(archive.csv(section.name)) > 0, section.name
        assert {tuple(row) for row in rows} == {section.columns}
        assert list(archive.csv(section.name)[0]) == list(section.columns)
        assert f"\r\n{section.name} ({len(rows)})\r\n" in archive.readme
    assert sorted(archive.archive.namelist()) == sorted(
        ["README.txt", *(f"{kind}/{each.name}.{kind}" for each in SECTIONS for kind in ("json", "csv"))]
    )
    [profile] = archive.json("profile")
    assert (profile["email"], profile["language"]) == (READER, "fr")
    assert profile["created_at"] == "2026-11-23T09:30:00Z"


def test_amounts_times_and_formulas(container: Container, client: FlaskClient) -> None:
    insert_everything(container, READER, "mine")
    sign_in(container, client)
    archive = download(client)
    [payment], [pledge], [receipt] = (archive.json(name) for name in ("payments", "pledges", "receipts"))
    assert (payment["amount"], payment["amount_minor"], payment["currency"]) == ("7.50", 750, "USD")
    # The yen has no smaller unit.
    assert (pledge["amount"], pledge["amount_minor"], pledge["currency"]) == ("750", 750, "JPY")
    assert (pledge["pending_amount"], pledge["pending_amount_minor"]) == (None, None)
    paid = {name: receipt[name] for name in ("paid", "refunded", "withheld", "net", "net_minor")}
    assert paid == {"paid": "7.50", "refunded": "0.50", "withheld": "2.00", "net": "5.00", "net_minor": 500}
    assert re.fullmatch(r"2026(-[0-9A-Z]{4}){3}", receipt["number"])
    assert pledge["page_url"] == "=HYPER(mine)"
    assert archive.csv("pledges")[0]["page_url"] == "'=HYPER(mine)"
    assert (archive.csv("pledges")[0]["is_paused"], pledge["is_paused"]) == ("false", False)
    for section in SECTIONS:
        for row in archive.json(section.name):
            for name, value in row.items():
                if name.endswith("_at") or name == "at":
                    assert value is None or INSTANT.fullmatch(value), (section.name, name)
                elif name.endswith("_minor"):
                    assert value is None or isinstance(value, int)
                    assert row[name.removesuffix("_minor")] is None or MONEY.fullmatch(
                        row[name.removesuffix("_minor")]
                    )


def test_archive_holds_no_key_of_the_supporter(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    post_reminder(client, email=READER)
    token = sign_in(container, client)
    cookie = client.get_cookie("mainstay_reader")
    assert cookie is not None
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(open_invoice_url="https://pay.example/invoice"))
    mailer = FakeMailer()
    run(container, mailer)
    request_link(client)
    unused = sign_in_link(container)
    text = download(client).text()
    links = {email.page_url.rpartition("/")[2] for email in mailer.sent} - {"me"}
    for secret in (token, unused, cookie.value, "checkout?", "pay.example", *links):
        assert secret not in text
    with container.database.read_only() as session:
        for row in session.execute(select(SignIn.link_hash, SignIn.session_hash)):
            for value in filter(None, row):
                assert value.hex() not in text
                assert str(value) not in text


def test_supporter_with_nothing_gets_complete_empty_files(container: Container, client: FlaskClient) -> None:
    with container.database.transaction() as session:
        get_or_create_supporter(session, READER, now=container.clock())
    sign_in(container, client)
    archive = download(client)
    assert archive.json("payments") == archive.csv("payments") == []
    assert archive.archive.read("json/payments.json") == b"[]\n"
    assert "payments (0)" in archive.readme


def test_response_may_not_be_stored_and_names_nobody(
    container: Container, client: FlaskClient, signed_in: str
) -> None:
    assert "Download or delete my data" in visible_text(page(client, "/me"))
    form = form_to(page(client, "/me/data"), "/download")
    assert form.action == "/me/data/download?lang=en"
    response = client.post(form.action, headers=BROWSER)
    assert response.content_type == "application/zip"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Disposition"] == 'attachment; filename="my-data-2026-11-23.zip"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get(DOWNLOAD, headers=BROWSER).status_code == 405
    with container.database.read_only() as session:
        [entry] = session.scalars(select(AuditEntry)).all()
        supporter_id = session.scalars(select(Supporter.id)).one()
    assert (entry.actor, entry.action, entry.details) == (
        "reader",
        "download_own_data",
        {"supporter": str(supporter_id)},
    )


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_another_site_cannot_download(
    container: Container, client: FlaskClient, signed_in: str, headers: dict[str, str]
) -> None:
    for path in (DOWNLOAD, "/me/data/sign-in"):
        assert client.post(path, headers=headers).status_code == 403
    assert count(container, AuditEntry) == 0


def test_without_session_everything_leads_to_sign_in(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    for response in (client.get("/me/data?lang=de"), client.post(f"{DOWNLOAD}?lang=de")):
        assert (response.status_code, response.headers["Location"]) == (303, "/me?lang=de")
    response = client.post("/me/data/sign-in?lang=de")
    assert (response.status_code, response.headers["Location"]) == (303, "/me?lang=de")
    assert (count(container, AuditEntry), count(container, SignIn)) == (0, 0)


def test_older_sign_in_has_to_be_renewed(
    container: Container, client: FlaskClient, clock: FakeClock, signed_in: str
) -> None:
    clock.advance(minutes=29, seconds=59)
    assert client.post(DOWNLOAD).status_code == 200
    clock.advance(seconds=1)
    refused = client.post(DOWNLOAD, headers=BROWSER)
    assert refused.status_code == 403
    for html in (refused.text, page(client, "/me/data")):
        assert "sign in again before you download it" in visible_text(html)
        assert "/me/data/download" not in html
        assert form_to(html, "/me/data/sign-in")
    assert count(container, AuditEntry) == 1

    sent = client.post("/me/data/sign-in?lang=en", headers=BROWSER)
    assert without_signature(sent.headers["Location"]) == "/me?sent=yes&lang=en"
    assert "Check your email" in visible_text(page(client, sent.headers["Location"]))
    # The old session has ended, so that the link starts another one.
    assert "Sign in to manage your support" in visible_text(page(client, "/me"))
    link = f"/me/enter/{sign_in_link(container)}"
    assert client.get(link, headers=BROWSER).status_code == 200
    assert client.post(link, headers=BROWSER).status_code == 303
    assert client.post(DOWNLOAD).status_code == 200


@pytest.mark.parametrize("lang", available_languages())
def test_readme_is_in_the_language_of_the_reader(client: FlaskClient, signed_in: str, lang: str) -> None:
    readme = download(client, lang).readme
    assert "{" not in readme
    assert readme.count("\r\n") == readme.count("\n")
    assert all(f"\r\n{section.name} (" in readme for section in SECTIONS)
    assert ("Your data from" in readme) == (lang == "en")


def rows_of(container: Container, supporter_id: uuid.UUID) -> Iterator[tuple[str, int]]:
    with container.database.read_only(snapshot=True) as session:
        for section in SECTIONS:
            yield section.name, sum(1 for _ in section.records(session, find_owner(session, supporter_id)))


def test_archive_shows_one_moment(container: Container, client: FlaskClient, signed_in: str) -> None:
    """A payment that is booked while the archive is written is in neither of its files."""
    with container.database.read_only() as session:
        supporter_id = session.scalars(select(Supporter.id)).one()
    sections = rows_of(container, supporter_id)
    assert next(sections) == ("profile", 1)
    create_paid_pledge(container, client)
    counts = dict(sections)
    assert (counts["pledges"], counts["payments"], counts["receipts"]) == (1, 1, 1)
    assert dict(rows_of(container, supporter_id))["payments"] == 2


def test_ten_thousand_payments_need_little_memory(
    container: Container, client: FlaskClient, clock: FakeClock, signed_in: str
) -> None:
    number = 10_000
    day = datetime.timedelta(hours=1)
    with container.database.transaction() as session:
        row = {"pledge_id": uuid.UUID(signed_in), "status": "succeeded", "amount_minor": 200, "currency": "USD"}
        rows = [
            row
            | {"id": new_id(), "gateway": "stripe", "gateway_reference": f"pi_{n}", "paid_at": clock() - n * day}
            for n in range(number)
        ]
        session.execute(insert(Payment), rows)
        supporter_id = session.scalars(select(Supporter.id)).one()
    archive = download(client)
    assert len(archive.json("payments")) == len(archive.csv("receipts")) == number + 1

    def peak_bytes(rows: int) -> int:
        with container.database.transaction() as session:
            doomed = select(Payment.id).order_by(Payment.id.desc()).offset(rows)
            session.execute(Payment.__table__.delete().where(Payment.id.in_(doomed)))
        tracemalloc.start()
        with container.database.read_only(snapshot=True) as session, NullFile() as file:
            write_archive(file, session, supporter_id, readme=lambda _: "", now=clock())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    many = peak_bytes(number)
    # A tenth of the rows needs about as much memory.
    assert many < 2 * peak_bytes(number // 10)
    assert many < 8 * 1024 * 1024


class NullFile(io.RawIOBase):
    """A file that forgets what is written."""

    def write(self, data: Any, /) -> int:
        return len(data)


def test_downloads_are_limited(container: Container, clock: FakeClock, settings: Settings) -> None:
    limited = build_container(settings_for(settings.database_url, RATE_LIMIT="1000/second"), clock=clock)
    client = create_app(limited).test_client()
    create_paid_pledge(limited, client)
    sign_in(limited, client)
    statuses = [client.post(DOWNLOAD, headers=BROWSER).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    assert count(container, AuditEntry) == 10
    limited.database.engine.dispose()
