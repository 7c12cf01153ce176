"""Days in the filters and columns of staff are those of the campaign's calendar, as on its receipts."""

import csv
import datetime
import io
import json
import re
import uuid
from typing import Any

import openpyxl
import pytest
from flask.testing import FlaskClient

from schemas.enums import PaymentStatus, RefundStatus
from service.container import Container
from service.db.base import new_id
from service.db.models.payment import Payment, Refund
from tests.api.client import (
    assert_problem,
    auth_headers,
    get_json,
    insert_pledges,
    pay_pledge,
    post_pledge,
    post_reminder,
    update_campaign,
)
from tests.clock import FakeClock
from tests.pages.accounts import page, sign_in
from tests.pages.html import visible_text

PLEDGES = "/v1/admin/pledges"
EXPORT = f"{PLEDGES}/export"
REMINDERS = "/v1/admin/reminders"
LOS_ANGELES = "America/Los_Angeles"
# 20:30 on the 25th in Los Angeles.
EVENING = datetime.datetime(2026, 11, 26, 4, 30, tzinfo=datetime.UTC)


@pytest.fixture
def staff(container: Container) -> dict[str, str]:
    return auth_headers(container, "read", "export")


@pytest.fixture
def evening_pledge(client: FlaskClient, container: Container, clock: FakeClock) -> str:
    """Return the id of a pledge made and paid in the evening of 25 November in Los Angeles."""
    update_campaign(container, timezone=LOS_ANGELES)
    clock.now = EVENING
    pledge_id: str = post_pledge(client).json["id"]
    pay_pledge(container, pledge_id)
    return pledge_id


def rows(client: FlaskClient, staff: dict[str, str], **query: Any) -> list[dict[str, str]]:
    response = client.get(EXPORT, headers=staff, query_string={"bom": 0} | query)
    assert response.status_code == 200, response.text
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


def listed_ids(client: FlaskClient, staff: dict[str, str], **query: Any) -> list[str]:
    return [item["id"] for item in get_json(client, staff, PLEDGES, **query)["items"]]


def found_ids(client: FlaskClient, staff: dict[str, str], **query: Any) -> list[str]:
    """Return the ids that the list and the export agree on, the oldest first."""
    exported = [row["id"] for row in rows(client, staff, **query)]
    assert listed_ids(client, staff, **query) == exported[::-1]
    return exported


def add_payment(
    container: Container,
    pledge_id: str,
    paid_at: datetime.datetime,
    amount_minor: int,
    *,
    status: PaymentStatus = PaymentStatus.SUCCEEDED,
    refunded_minor: int = 0,
    refunded_at: datetime.datetime | None = None,
) -> None:
    payment_id = new_id()
    common = {"amount_minor": amount_minor, "currency": "USD", "gateway_reference": str(payment_id)}
    with container.database.transaction() as session:
        session.add(
            Payment(
                id=payment_id,
                pledge_id=uuid.UUID(pledge_id),
                status=status,
                gateway="sandbox",
                paid_at=paid_at,
                **common,
            )
        )
        session.flush()  # The refund refers to the payment.
        if refunded_minor:
            refund = common | {"amount_minor": refunded_minor}
            session.add(
                Refund(
                    payment_id=payment_id,
                    status=RefundStatus.SUCCEEDED,
                    created_at=refunded_at or paid_at,
                    **refund,
                )
            )


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


def test_export_and_receipt_name_the_same_day(
    client: FlaskClient, container: Container, staff: dict, evening_pledge: str
) -> None:
    [row] = rows(client, staff)
    assert row["created_at"] == row["last_payment_at"] == "2026-11-25T20:30:00-08:00"
    assert row["timezone"] == LOS_ANGELES
    [line] = client.get(EXPORT, headers=staff, query_string={"format": "jsonl"}).text.splitlines()
    assert json.loads(line)["created_at"] == "2026-11-25T20:30:00-08:00"
    book = openpyxl.load_workbook(
        io.BytesIO(client.get(EXPORT, headers=staff, query_string={"format": "xlsx"}).data)
    )
    assert book.active["B2"].value == datetime.datetime(2026, 11, 25, 20, 30)  # noqa: DTZ001 - by its clock
    file = client.get(EXPORT, headers=staff)
    assert file.headers["Content-Disposition"] == 'attachment; filename="pledges-2026-11-25.csv"'
    sign_in(container, client)
    [receipt] = re.findall(r'href="([^"]*/receipts/[^"?]*)', page(client, "/me"))
    assert "November 25, 2026" in visible_text(page(client, receipt))


@pytest.mark.parametrize("period", ["created", "paid"])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"from": "2026-11-25", "to": "2026-11-25"}, True),
        ({"from": "2026-11-25"}, True),
        ({"to": "2026-11-25"}, True),
        ({"from": "2026-11-26"}, False),
        ({"to": "2026-11-24"}, False),
        ({"from": "2026-11-26", "to": "2026-11-26", "tz": "UTC"}, True),
        ({"from": "2026-11-25", "to": "2026-11-25", "tz": "UTC"}, False),
        ({"from": "2026-11-26", "to": "2026-11-26", "tz": "Asia/Tokyo"}, True),
        ({"from": "2026-11-26T04:30:00Z", "to": "2026-11-26T04:30:01Z"}, True),
        ({"from": "2026-11-25T20:30:00-08:00"}, True),
        ({"to": "2026-11-26T04:30:00Z"}, False),
        ({"from": "2026-11-25", "to": "2026-11-26T04:30:01Z"}, True),
        ({"from": "0001-01-01", "to": "9999-12-30"}, True),
    ],
)
def test_day_is_one_of_the_campaigns_calendar(
    client: FlaskClient, staff: dict, evening_pledge: str, period: str, query: dict[str, str], found: bool
) -> None:
    named = {name if name == "tz" else f"{period}_{name}": value for name, value in query.items()}
    assert found_ids(client, staff, **named) == ([evening_pledge] if found else [])


def test_receipt_number_has_the_year_of_the_receipt(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    update_campaign(container, timezone=LOS_ANGELES)
    clock.now = utc("2027-01-01T07:59:59")
    pay_pledge(container, post_pledge(client).json["id"])
    sign_in(container, client)
    [receipt] = re.findall(r'href="([^"]*/receipts/[^"?]*)', page(client, "/me"))
    text = visible_text(page(client, receipt))
    assert "December 31, 2026" in text
    [number] = re.findall(r"\b(20\d\d)-\w{4}-\w{4}-\w{4}\b", text)
    assert number == "2026"


def test_tz_is_the_zone_of_the_times_too(client: FlaskClient, staff: dict, evening_pledge: str) -> None:
    [row] = rows(client, staff, tz="UTC")
    assert (row["created_at"], row["timezone"]) == ("2026-11-26T04:30:00Z", "UTC")
    [row] = rows(client, staff, tz="Asia/Kathmandu")
    assert (row["created_at"], row["timezone"]) == ("2026-11-26T10:15:00+05:45", "Asia/Kathmandu")


def test_each_row_has_the_calendar_of_its_own_campaign(
    client: FlaskClient, container: Container, staff: dict, evening_pledge: str
) -> None:
    update_campaign(container, slug="tokyo", timezone="Asia/Tokyo")
    tokyo = post_pledge(client, campaign="tokyo").json["id"]
    assert found_ids(client, staff, created_from="2026-11-25", created_to="2026-11-25") == [evening_pledge]
    assert found_ids(client, staff, created_from="2026-11-26", created_to="2026-11-26") == [tokyo]
    assert [(row["created_at"], row["timezone"]) for row in rows(client, staff)] == [
        ("2026-11-25T20:30:00-08:00", LOS_ANGELES),
        ("2026-11-26T13:30:00+09:00", "Asia/Tokyo"),
    ]
    names = {
        query: client.get(EXPORT, headers=staff, query_string=query).headers["Content-Disposition"][-15:-5]
        for query in ("", "campaign=default", "campaign=tokyo", "tz=America/Los_Angeles")
    }
    assert list(names.values()) == ["2026-11-26", "2026-11-25", "2026-11-26", "2026-11-25"]


@pytest.mark.parametrize(
    ("zone", "day", "first", "last"),
    [
        # 25 hours, 23 hours, a day that begins at 01:00, and one that a zone skipped.
        ("America/New_York", "2026-11-01", "2026-11-01T04:00:00", "2026-11-02T04:59:59"),
        ("America/New_York", "2026-03-08", "2026-03-08T05:00:00", "2026-03-09T03:59:59"),
        ("America/Santiago", "2026-09-06", "2026-09-06T04:00:00", "2026-09-07T02:59:59"),
        ("Pacific/Kiritimati", "2026-01-01", "2025-12-31T10:00:00", "2026-01-01T09:59:59"),
    ],
)
def test_day_of_a_clock_change_is_complete(
    client: FlaskClient, container: Container, staff: dict, zone: str, day: str, first: str, last: str
) -> None:
    update_campaign(container, timezone=zone)
    second = datetime.timedelta(seconds=1)
    for instant in (utc(first) - second, utc(first), utc(last), utc(last) + second):
        insert_pledges(container, 1, created_at=instant)
    found = rows(client, staff, created_from=day, created_to=day)
    assert [datetime.datetime.fromisoformat(row["created_at"]) for row in found] == [utc(first), utc(last)]
    assert {row["created_at"][:10] for row in found} == {day}


def test_day_that_the_zone_skipped_has_no_pledges(client: FlaskClient, container: Container, staff: dict) -> None:
    update_campaign(container, timezone="Pacific/Apia")
    insert_pledges(container, 1, created_at=utc("2011-12-30T09:59:59"))
    insert_pledges(container, 1, created_at=utc("2011-12-30T10:00:00"))
    days = {
        day: len(rows(client, staff, created_from=day, created_to=day))
        for day in ("2011-12-29", "2011-12-30", "2011-12-31")
    }
    assert days == {"2011-12-29": 1, "2011-12-30": 0, "2011-12-31": 1}


@pytest.mark.parametrize(
    ("path", "name"),
    [(PLEDGES, "created"), (PLEDGES, "paid"), (EXPORT, "created"), (EXPORT, "paid"), (REMINDERS, "due")],
)
@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-26", "2026-11-25"),
        ("2026-11-25T10:00:01Z", "2026-11-25T10:00:00Z"),
        ("2026-11-27", "2026-11-25T10:00:00Z"),
        ("2026-11-27T10:00:00Z", "2026-11-25"),
    ],
)
def test_period_that_ends_before_it_begins_is_rejected(
    client: FlaskClient, staff: dict, path: str, name: str, start: str, end: str
) -> None:
    query = {f"{name}_from": start, f"{name}_to": end}
    problem = assert_problem(
        client.get(path, headers=staff, query_string=query), 422, "validation_failed", field=f"{name}_to"
    )
    assert problem["errors"][f"{name}_to"] == [f"This is before {name}_from."]


def test_export_answers_who_paid_how_much_in_a_year(
    client: FlaskClient, container: Container, staff: dict, clock: FakeClock
) -> None:
    """Pledges made earlier count too, and payments of other years do not."""
    update_campaign(container, timezone=LOS_ANGELES)
    clock.now = utc("2025-06-01T12:00:00")
    monthly, once, never = (post_pledge(client).json["id"] for _ in range(3))
    # The last second of 2025, the first and the last of 2026, and the first of 2027 in Los Angeles.
    add_payment(container, monthly, utc("2026-01-01T07:59:59"), 100)
    add_payment(container, monthly, utc("2026-01-01T08:00:00"), 200)
    add_payment(container, monthly, utc("2027-01-01T07:59:59"), 300)
    add_payment(container, monthly, utc("2027-01-01T08:00:00"), 400)
    add_payment(container, monthly, utc("2026-07-01T08:00:00"), 800, status=PaymentStatus.FAILED)
    add_payment(container, once, utc("2025-06-01T12:00:00"), 1600)
    add_payment(container, never, utc("2026-06-01T12:00:00"), 3200, status=PaymentStatus.FAILED)
    year = {"paid_from": "2026-01-01", "paid_to": "2026-12-31"}
    [row] = rows(client, staff, **year)
    assert (row["id"], row["payments"], row["paid_total"], row["paid_total_minor"], row["last_payment_at"]) == (
        monthly,
        "2",
        "5.00",
        "500",
        "2026-12-31T23:59:59-08:00",
    )
    [item] = get_json(client, staff, PLEDGES, **year)["items"]
    assert (item["id"], item["payments"], item["paid_total"]) == (monthly, 2, 500)
    [by_utc] = rows(client, staff, **year, tz="UTC")
    assert (by_utc["payments"], by_utc["paid_total_minor"]) == ("2", "300")
    assert [row["paid_total_minor"] for row in rows(client, staff)] == ["1000", "1600", "0"]
    assert found_ids(client, staff, paid_to="2025-12-31") == [monthly, once]
    assert found_ids(client, staff, paid_from="2027-01-01", created_to="2025-12-31") == [monthly]
    assert found_ids(client, staff, paid_from="2027-01-01", created_from="2026-01-01") == []


def test_totals_of_a_period_are_net_of_refunds_whenever_they_were_made(
    client: FlaskClient, container: Container, staff: dict
) -> None:
    part, whole = (post_pledge(client).json["id"] for _ in range(2))
    partially, fully = PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED
    march, april = utc("2026-03-31T12:00:00"), utc("2026-04-01T12:00:00")
    add_payment(container, part, march, 1000, status=partially, refunded_minor=400, refunded_at=april)
    add_payment(container, part, april, 50)
    add_payment(container, whole, march, 500, status=fully, refunded_minor=500, refunded_at=april)
    totals = [
        (row["id"], row["payments"], row["paid_total"])
        for row in rows(client, staff, paid_from="2026-03-01", paid_to="2026-03-31")
    ]
    assert totals == [(part, "1", "6.00"), (whole, "0", "0.00")]
    [row] = rows(client, staff, paid_from="2026-04-01", paid_to="2026-04-30")
    assert (row["id"], row["payments"], row["paid_total"]) == (part, "1", "0.50")


def test_days_of_reminders_are_those_of_their_campaign(
    client: FlaskClient, container: Container, staff: dict, clock: FakeClock
) -> None:
    update_campaign(container, timezone=LOS_ANGELES, send_hour=20)
    clock.now = EVENING
    post_reminder(client)
    [item] = get_json(client, staff, REMINDERS)["items"]
    assert (item["due_on"], item["due_at"]) == ("2026-12-25", "2026-12-26T04:00:00Z")

    def found(**query: str) -> int:
        return len(get_json(client, staff, REMINDERS, **query)["items"])

    assert found(due_from="2026-12-25", due_to="2026-12-25") == 1
    assert found(due_from="2026-12-26") == found(due_to="2026-12-24") == 0
    assert found(due_from="2026-12-26", due_to="2026-12-26", tz="UTC") == 1
    assert found(due_from="2026-12-26T04:00:00Z", due_to="2026-12-26T04:00:01Z") == 1
