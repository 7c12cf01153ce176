"""The export of pledges: its columns and formats, and protection against formula injection."""

import csv
import datetime
import io
import json
import uuid
from typing import Any

import openpyxl
import pytest
from flask.testing import FlaskClient
from openpyxl.cell import Cell
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from service.container import Container
from service.db.models.admin import AuditEntry
from service.db.models.pledge import Pledge
from tests.api.client import assert_problem, auth_headers, insert_pledges, pay_pledge, post_pledge, update_campaign
from tests.clock import FakeClock

EXPORT = "/v1/admin/pledges/export"
HEADER = (
    "id,created_at,campaign,status,frequency,amount,amount_minor,currency,email,payments,paid_total,"
    "last_payment_at,page_url,variant,gateway,gateway_reference,paid_total_minor,timezone,paused,resumes_at"
)
COLUMNS = HEADER.split(",")
BOM = "\ufeff"


@pytest.fixture
def staff(container: Container) -> dict[str, str]:
    return auth_headers(container, "export")


def export(client: FlaskClient, staff: dict[str, str], **query: Any) -> TestResponse:
    response = client.get(EXPORT, headers=staff, query_string=query)
    assert response.status_code == 200, response.text
    return response


def rows(client: FlaskClient, staff: dict[str, str], **query: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(export(client, staff, **query, bom=0).text, newline="")))


def workbook_rows(client: FlaskClient, staff: dict[str, str], **query: Any) -> list[dict[str, Cell]]:
    book = openpyxl.load_workbook(io.BytesIO(export(client, staff, format="xlsx", **query).data))
    return [dict(zip(COLUMNS, row, strict=True)) for row in book.active.iter_rows(min_row=2)]


def test_csv_export_matches_contract_byte_for_byte(
    client: FlaskClient, container: Container, staff: dict, clock: FakeClock
) -> None:
    first = post_pledge(client, page_url='https://paper.example/a,"b"', variant="foot.v2_b-1").json["id"]
    clock.advance(minutes=1)
    second = post_pledge(client, frequency="once", amount=123456).json["id"]
    clock.advance(minutes=4)
    pay_pledge(container, first)
    response = export(client, staff)
    assert response.content_type == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="pledges-2026-11-23.csv"'
    assert response.headers["Cache-Control"] == "no-store"
    expected = (
        f"{BOM}{HEADER}\r\n"
        f"{first},2026-11-23T09:30:00Z,default,active,monthly,2.00,200,USD,reader@example.org,1,2.00,"
        f'2026-11-23T09:35:00Z,"https://paper.example/a,""b""",foot.v2_b-1,sandbox,sandbox_{first},200,UTC,no,\r\n'
        f"{second},2026-11-23T09:31:00Z,default,pending,once,1234.56,123456,USD,,0,0.00,,,,sandbox,sandbox_{second},0,UTC,no,"
        "\r\n"
    )
    assert response.data == expected.encode()


def test_empty_export_has_header(client: FlaskClient, staff: dict) -> None:
    assert export(client, staff).data == f"{BOM}{HEADER}\r\n".encode()
    assert export(client, staff, format="jsonl").data == b""
    worksheet = openpyxl.load_workbook(io.BytesIO(export(client, staff, format="xlsx").data)).active
    assert [[cell.value for cell in row] for row in worksheet.iter_rows()] == [COLUMNS]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_export_escapes_formula_injection(
    client: FlaskClient, container: Container, staff: dict, sign: str
) -> None:
    pay_pledge(container, post_pledge(client).json["id"], email=f"{sign if sign in '=+-' else ''}cmd@example.org")
    evil = f'{sign}HYPERLINK("https://evil.example",1)'
    with container.database.transaction() as session:
        # The API rejects these values, but an import or an older release might have stored them.
        session.execute(update(Pledge).values(page_url=evil, variant=evil, gateway_reference=evil))
    [row] = rows(client, staff)
    for name in ("page_url", "variant", "gateway_reference"):
        assert row[name] == f"'{evil}"
    if sign in "=+-":
        assert row["email"] == f"'{sign}cmd@example.org"
    [line] = [json.loads(line) for line in export(client, staff, format="jsonl").text.splitlines()]
    assert line["variant"] == evil


@pytest.mark.parametrize(
    ("stored", "exported"),
    [
        ("x;=1+1;y", "x;'=1+1;y"),
        ("a\t=1", "a\t'=1"),
        ("a| @b", "a|' @b"),
        ("one\r\n+two", "one\r\n'+two"),
        ("＝1+1", "'＝1+1"),
        ("  -1", "'  -1"),
        ("x,－1", "x,'－1"),
    ],
)
def test_export_guards_formula_after_any_separator(
    client: FlaskClient, container: Container, staff: dict, stored: str, exported: str
) -> None:
    post_pledge(client)
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(page_url=stored, variant=stored, gateway_reference=stored))
    [row] = rows(client, staff)
    assert [row[name] for name in ("page_url", "variant", "gateway_reference")] == [exported] * 3


def test_export_keeps_harmless_text_unchanged(client: FlaskClient, container: Container, staff: dict) -> None:
    odd = ["a=b", "'quoted'", "1-2", "Ünïcødé — 💶", "0012", "two\\lines", "|pipe", "100%"]
    for variant in odd:
        # Before `variant` was limited, an installation may have stored any of these.
        insert_pledges(container, 1, variant=variant)
    assert [row["variant"] for row in rows(client, staff)] == odd


def test_line_break_is_quoted_in_csv(client: FlaskClient, container: Container, staff: dict) -> None:
    post_pledge(client)
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(variant="one\r\ntwo\nthree"))
    [row] = rows(client, staff)
    assert row["variant"] == "one\r\ntwo\nthree"
    assert b'"one\r\ntwo\nthree"' in export(client, staff).data


@pytest.mark.parametrize(
    ("currency", "minor", "major"),
    [
        ("USD", 200, "2.00"),
        ("USD", 205, "2.05"),
        ("JPY", 750, "750"),
        ("KWD", 1500, "1.500"),
        ("KWD", 200, "0.200"),
    ],
)
def test_export_amounts_are_decimal_strings_in_major_units(
    client: FlaskClient, container: Container, staff: dict, currency: str, minor: int, major: str
) -> None:
    update_campaign(container, currency=currency)
    pay_pledge(container, post_pledge(client, currency=currency, amount=minor).json["id"])
    [row] = rows(client, staff)
    assert (row["amount"], row["paid_total"], row["amount_minor"]) == (major, major, str(minor))
    [line] = [json.loads(line) for line in export(client, staff, format="jsonl").text.splitlines()]
    assert (line["amount"], line["paid_total"], line["amount_minor"]) == (major, major, minor)


def test_jsonl_export_has_typed_columns(client: FlaskClient, container: Container, staff: dict) -> None:
    paid = post_pledge(client, variant="b").json["id"]
    pay_pledge(container, paid)
    post_pledge(client)
    response = export(client, staff, format="jsonl")
    assert response.content_type == "application/x-ndjson; charset=utf-8"
    lines = [json.loads(line) for line in response.data.split(b"\n")[:-1]]
    assert [list(line) for line in lines] == [COLUMNS, COLUMNS]
    assert (lines[0]["payments"], lines[0]["email"]) == (1, "reader@example.org")
    assert (lines[1]["email"], lines[1]["last_payment_at"], lines[1]["payments"]) == (None, None, 0)


def test_byte_order_mark_is_the_default_of_csv_only(client: FlaskClient, staff: dict) -> None:
    post_pledge(client)
    mark = BOM.encode()
    assert export(client, staff).data.startswith(mark + b"id,created_at,")
    for value in ("1", "true"):
        assert export(client, staff, bom=value).data.startswith(mark + b"id,created_at,")
    # Excel takes a file that begins with a capital ID for SYLK, another format.
    for value in ("0", "false"):
        assert export(client, staff, bom=value).data.startswith(b"id,created_at,")
    assert export(client, staff, format="jsonl").data.startswith(b"{")
    assert export(client, staff, format="xlsx").data.startswith(b"PK\x03\x04")


@pytest.mark.parametrize(
    ("currency", "amount_minor", "amount", "number_format"),
    [
        ("USD", 205, 2.05, "#,##0.00"),
        ("USD", 10**12, 10**10, "#,##0.00"),
        ("JPY", 750, 750, "#,##0"),
        ("KWD", 1505, 1.505, "#,##0.000"),
        ("UYW", 12345, 1.2345, "#,##0.0000"),
    ],
)
def test_workbook_has_typed_numbers_and_times(
    client: FlaskClient,
    container: Container,
    staff: dict,
    currency: str,
    amount_minor: int,
    amount: float,
    number_format: str,
) -> None:
    insert_pledges(container, 1, currency=currency, amount_minor=amount_minor, variant="007")
    with container.database.read_only() as session:
        pledge_id = str(session.scalar(select(Pledge.id)))
    pay_pledge(container, pledge_id, email="=cmd@example.org")
    response = export(client, staff, format="xlsx")
    assert response.headers["Content-Disposition"].endswith('.xlsx"')
    assert response.content_type == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    [cells] = workbook_rows(client, staff)
    values = {name: cell.value for name, cell in cells.items()}
    noon = datetime.datetime(2026, 11, 23, 9, 30)  # noqa: DTZ001 - a spreadsheet's times have no zone
    assert values | {"gateway_reference": ""} == {
        "id": pledge_id,
        "created_at": noon,
        "campaign": "default",
        "status": "completed",
        "frequency": "once",
        "amount": amount,
        "amount_minor": amount_minor,
        "currency": currency,
        "email": "=cmd@example.org",
        "payments": 1,
        "paid_total": amount,
        "last_payment_at": noon,
        "page_url": None,
        "variant": "007",
        "gateway": "sandbox",
        "gateway_reference": "",
        "paid_total_minor": amount_minor,
        "timezone": "UTC",
        "paused": "no",
        "resumes_at": None,
    }
    # The type of openpyxl's cell is "f" for a formula.
    assert (cells["email"].data_type, cells["variant"].data_type) == ("s", "s")
    assert (cells["amount"].data_type, cells["paid_total_minor"].data_type) == ("n", "n")
    assert cells["amount"].number_format == cells["paid_total"].number_format == number_format
    assert cells["created_at"].number_format == "yyyy-mm-dd hh:mm:ss"
    # Text that looks like a number or a formula stays text also when it is edited.
    assert cells["email"].number_format == cells["variant"].number_format == "@"


def test_workbook_cells_are_never_prefixed(client: FlaskClient, container: Container, staff: dict) -> None:
    odd = ["=1+1", "+31", "-5", "@a", "a;=1", "'quoted'", "<b>&amp;</b>", "_x0041_", " blanks ", "💶"]
    for variant in odd:
        insert_pledges(container, 1, variant=variant)
    cells = [row["variant"] for row in workbook_rows(client, staff)]
    assert {cell.data_type for cell in cells} == {"s"}
    # openpyxl does not undo the escape of what looks like one (ECMA-376, ST_Xstring); Excel and LibreOffice do.
    assert [cell.value.replace("_x005F_", "_") for cell in cells] == odd


def test_export_accepts_list_filters(
    client: FlaskClient, container: Container, staff: dict, clock: FakeClock
) -> None:
    paid = post_pledge(client).json["id"]
    pay_pledge(container, paid)
    clock.advance(days=1)
    once = post_pledge(client, frequency="once").json["id"]

    def ids(**query: str) -> list[str]:
        return [row["id"] for row in rows(client, staff, **query)]

    assert ids() == [paid, once]
    assert ids(status="active") == ids(created_to="2026-11-23") == ids(frequency="monthly") == [paid]
    assert (
        ids(created_from="2026-11-24")
        == ids(status="pending")
        == ids(status="pending", campaign="default")
        == [once]
    )
    assert ids(campaign="none") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "xls"),
        ("format", "CSV"),
        ("status", "paid"),
        ("created_from", "x"),
        ("statuss", "active"),
        ("limit", "5"),
        ("bom", "2"),
        ("bom", "no"),
        ("tz", "Amsterdam"),
        ("paid_to", "x"),
    ],
)
def test_export_rejects_invalid_filter(
    client: FlaskClient, container: Container, staff: dict, name: str, value: str
) -> None:
    response = client.get(EXPORT, headers=staff, query_string={name: value})
    assert_problem(response, 422, "validation_failed", field=name)
    with container.database.read_only() as session:
        assert session.scalars(select(AuditEntry)).all() == []


def test_export_is_audited_with_its_filters(
    client: FlaskClient, container: Container, staff: dict, clock: FakeClock
) -> None:
    export(client, staff, format="jsonl", status="active", created_from="2026-11-01")
    with container.database.read_only() as session:
        [entry] = session.scalars(select(AuditEntry)).all()
    assert entry.action == "export_pledges"
    assert entry.at == clock.now
    assert entry.actor.startswith("token the desk (")
    assert entry.details["format"] == "jsonl"
    assert entry.details["status"] == "active"
    assert entry.details["created_from"].startswith("2026-11-01")


def test_export_streams_each_pledge_once_in_order(client: FlaskClient, container: Container, staff: dict) -> None:
    insert_pledges(container, 1003)
    ids = [uuid.UUID(row["id"]) for row in rows(client, staff)]
    assert len(ids) == len(set(ids)) == 1003
    assert ids == sorted(ids)
