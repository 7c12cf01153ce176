"""Staff lists: filters, pagination and cursors."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service.container import Container
from service.db.models.pledge import Pledge
from tests.api.client import (
    assert_problem,
    auth_headers,
    get_json,
    insert_pledges,
    pay_pledge,
    post_pledge,
    update_campaign,
)
from tests.clock import FakeClock

PLEDGES = "/v1/admin/pledges"
REMINDERS = "/v1/admin/reminders"


@pytest.fixture
def staff(container: Container) -> dict[str, str]:
    return auth_headers(container, "read")


def test_pledge_list_has_no_personal_data(
    client: FlaskClient, container: Container, staff: dict, clock: FakeClock
) -> None:
    pledge = post_pledge(client, page_url="https://paper.example/a", variant="blue").json
    clock.advance(minutes=5)
    pay_pledge(container, pledge["id"])
    page = get_json(client, staff, PLEDGES)
    assert page == {
        "items": [
            {
                "id": pledge["id"],
                "created_at": "2026-11-23T09:30:00Z",
                "campaign": "default",
                "status": "active",
                "frequency": "monthly",
                "amount": 200,
                "currency": "USD",
                "payments": 1,
                "paid_total": 200,
                "last_payment_at": "2026-11-23T09:35:00Z",
                "page_url": "https://paper.example/a",
                "variant": "blue",
                "gateway": "sandbox",
                "gateway_reference": f"sandbox_{pledge['id']}",
                "paused": False,
                "resumes_at": None,
            }
        ],
        "next_cursor": None,
    }


def test_empty_database_gives_empty_list(client: FlaskClient, staff: dict) -> None:
    assert (
        get_json(client, staff, PLEDGES)
        == get_json(client, staff, REMINDERS)
        == {"items": [], "next_cursor": None}
    )


def test_list_filters_by_status_frequency_and_campaign(
    client: FlaskClient, container: Container, staff: dict
) -> None:
    update_campaign(container, slug="climate")
    paid = post_pledge(client).json["id"]
    pay_pledge(container, paid)
    once = post_pledge(client, frequency="once").json["id"]
    other = post_pledge(client, campaign="climate").json["id"]

    def ids(**query: str) -> set[str]:
        return {item["id"] for item in get_json(client, staff, PLEDGES, **query)["items"]}

    assert ids() == {paid, once, other}
    assert ids(status="active") == {paid}
    assert ids(status="pending") == {once, other}
    assert ids(frequency="once") == {once}
    assert ids(campaign="climate") == {other}
    assert ids(campaign="default", status="pending", frequency="once") == {once}
    assert ids(status="refunded") == ids(campaign="no-such-campaign") == set()


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ({}, [21, 22, 23, 24]),
        ({"created_from": "2026-11-22"}, [22, 23, 24]),
        ({"created_to": "2026-11-22"}, [21, 22]),
        ({"created_from": "2026-11-22", "created_to": "2026-11-22"}, [22]),
        ({"created_from": "2026-11-22T09:30:00Z"}, [22, 23, 24]),
        ({"created_from": "2026-11-22T09:30:01Z"}, [23, 24]),
        ({"created_to": "2026-11-22T09:30:00Z"}, [21]),
        ({"created_to": "2026-11-22T09:30:01Z"}, [21, 22]),
        ({"created_from": "2026-11-22T10:30:00+01:00"}, [22, 23, 24]),
        ({"created_from": "0001-01-01", "created_to": "9999-12-30"}, [21, 22, 23, 24]),
    ],
)
def test_list_filters_by_dates_and_instants(
    client: FlaskClient, container: Container, staff: dict, clock: FakeClock, query: dict, days: list[int]
) -> None:
    for day in (21, 22, 23, 24):
        insert_pledges(container, 1, created_at=clock.now.replace(day=day))
    found = sorted(int(item["created_at"][8:10]) for item in get_json(client, staff, PLEDGES, **query)["items"])
    assert found == days


@pytest.mark.parametrize("path", [PLEDGES, REMINDERS])
@pytest.mark.parametrize("limit", ["0", "-1", "201", "1.5", "ten", "1e2", "99999999999999999999", "0x10"])
def test_page_limit_is_1_to_200(client: FlaskClient, staff: dict, path: str, limit: str) -> None:
    response = client.get(path, headers=staff, query_string={"limit": limit})
    assert_problem(response, 422, "validation_failed", field="limit")


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        (PLEDGES, "status", "paid"),
        (PLEDGES, "status", "Active"),
        (PLEDGES, "frequency", "weekly"),
        (PLEDGES, "campaign", "No Slug"),
        (PLEDGES, "campaign", "x\0"),
        (PLEDGES, "created_from", "yesterday"),
        (PLEDGES, "created_from", "2026-02-30"),
        (PLEDGES, "created_from", "2026-11-22T09:30:00"),
        (PLEDGES, "created_from", "20261122T0"),
        (PLEDGES, "created_from", "2026-W47-1"),
        (PLEDGES, "created_from", "1700000000"),
        (PLEDGES, "created_to", "9999-12-31"),
        (PLEDGES, "created_to", "2026-11-22T25:00:00Z"),
        (PLEDGES, "statuss", "active"),
        (PLEDGES, "email", "reader@example.org"),
        (REMINDERS, "status", "due"),
        (REMINDERS, "due_from", "soon"),
        (REMINDERS, "created_from", "2026-11-22"),
        (PLEDGES, "tz", "utc"),
        (PLEDGES, "tz", "+01:00"),
        (PLEDGES, "paid_from", "2026"),
        (REMINDERS, "tz", "Mars/Phobos"),
        (PLEDGES, "bom", "0"),
    ],
)
def test_unknown_filter_is_rejected(client: FlaskClient, staff: dict, path: str, name: str, value: str) -> None:
    response = client.get(path, headers=staff, query_string={name: value})
    assert_problem(response, 422, "validation_failed", field=name)


def test_empty_filter_is_ignored(client: FlaskClient, container: Container, staff: dict) -> None:
    insert_pledges(container, 3)
    query = "status=&frequency=&campaign=&created_from=&created_to=&limit=&cursor="
    assert len(client.get(f"{PLEDGES}?{query}", headers=staff).json["items"]) == 3


@pytest.mark.parametrize("path", [PLEDGES, REMINDERS])
@pytest.mark.parametrize(
    "cursor",
    ["x", "AAAA", "=", "é", "💩", "00000000-0000-0000-0000-000000000000", "a" * 22 + "!", "A" * 23, "%00", "\0"],
)
def test_invalid_cursor_is_rejected(client: FlaskClient, staff: dict, path: str, cursor: str) -> None:
    response = client.get(path, headers=staff, query_string={"cursor": cursor})
    assert_problem(response, 422, "invalid_cursor", field="cursor")


def test_overlong_cursor_is_rejected(client: FlaskClient, staff: dict) -> None:
    response = client.get(PLEDGES, headers=staff, query_string={"cursor": "A" * 65})
    assert_problem(response, 422, "validation_failed", field="cursor")


def test_pagination_returns_each_pledge_once_during_inserts(
    client: FlaskClient, container: Container, staff: dict
) -> None:
    insert_pledges(container, 500)
    with container.database.read_only() as session:
        stored_ids = {str(pledge_id) for pledge_id in session.scalars(select(Pledge.id))}
    seen_ids: list[str] = []
    query: dict[str, Any] = {"limit": 70}
    while True:
        page = get_json(client, staff, PLEDGES, **query)
        seen_ids += [item["id"] for item in page["items"]]
        insert_pledges(container, 3)
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert len(seen_ids) == len(set(seen_ids))
    assert set(seen_ids) == stored_ids
    assert seen_ids == sorted(seen_ids, reverse=True)


@pytest.mark.parametrize(("rows", "pages"), [(49, 1), (50, 1), (51, 2), (100, 2)])
def test_last_page_has_no_next_cursor(
    client: FlaskClient, container: Container, staff: dict, rows: int, pages: int
) -> None:
    insert_pledges(container, rows)
    cursor, seen = "", 0
    for number in range(1, pages + 1):
        page = get_json(client, staff, PLEDGES, cursor=cursor)
        cursor, seen = page["next_cursor"], seen + len(page["items"])
        assert (cursor is None) == (number == pages)
    assert seen == rows
