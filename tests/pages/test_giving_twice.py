"""Two recurring pledges of one reader are pointed out, and a failed operation says what holds now."""

import pytest
from flask.testing import FlaskClient

from service.container import Container
from service.domain.ports import GatewayRejected
from tests.api.client import assert_problem, auth_headers, get_json
from tests.clock import FakeClock
from tests.pages.accounts import READER, AccessPath, create_paid_pledge, page, pledge_link, sign_in
from tests.pages.html import visible_text
from tests.pages.test_account_pledges import failing

HINT = "since November 23, 2026. If you didn’t mean to give twice, you can cancel one."


def giving_twice(container: Container, client: FlaskClient) -> int:
    count: int = get_json(client, auth_headers(container, "read"), "/v1/admin/summary")["supporters_giving_twice"]
    return count


@pytest.fixture
def pledges(container: Container, client: FlaskClient, clock: FakeClock) -> tuple[str, str]:
    """Return two monthly pledges of one reader, the second a day later."""
    first = create_paid_pledge(container, client, amount=500)
    clock.advance(days=1)
    return first, create_paid_pledge(container, client, amount=200)


def test_second_pledge_is_pointed_out_to_the_reader(
    container: Container, client: FlaskClient, pledges: tuple[str, str]
) -> None:
    first, second = pledges
    assert f"You’re also giving $5 a month, {HINT}" in visible_text(page(client, pledge_link(container, second)))
    assert "You’re also giving $2 a month" in visible_text(page(client, pledge_link(container, first)))
    sign_in(container, client)
    account = visible_text(page(client, "/me"))
    assert f"You’re also giving $5 a month, {HINT}" in account
    # One of the two cards says it for both.
    assert account.count("You’re also giving") == 1
    thanks = visible_text(page(client, f"/support/default/thank-you?pledge={second}&lang=en"))
    assert f"You’re also giving $5 a month, {HINT}" in thanks
    AccessPath(container, client, "by link", first).post("cancel", then="end")
    assert "You’re also giving" not in visible_text(page(client, "/me"))


def test_account_says_once_that_a_reader_gives_three_times(
    container: Container, client: FlaskClient, pledges: tuple[str, str], clock: FakeClock
) -> None:
    clock.advance(days=1)
    create_paid_pledge(container, client, amount=300)
    sign_in(container, client)
    assert visible_text(page(client, "/me")).count("You’re also giving") == 1


def test_thank_you_page_does_not_tell_a_stranger_what_an_address_gives(
    client: FlaskClient, pledges: tuple[str, str]
) -> None:
    thanks = visible_text(page(client, f"/support/default/thank-you?pledge={pledges[1]}&lang=en"))
    assert "$5" not in thanks
    assert "If you were already giving, you can change or cancel either one at any time." in thanks


@pytest.mark.parametrize(
    "other", [{"frequency": "once"}, {"email": "another@example.org"}, {"email": None}], ids=str
)
def test_other_pledges_are_no_second_one(container: Container, client: FlaskClient, other: dict[str, str]) -> None:
    first = create_paid_pledge(container, client, amount=500)
    create_paid_pledge(container, client, **{"amount": 500, "email": READER} | other)
    assert "You’re also giving" not in visible_text(page(client, pledge_link(container, first)))
    assert giving_twice(container, client) == 0


def test_staff_see_how_many_supporters_give_twice(
    container: Container, client: FlaskClient, pledges: tuple[str, str]
) -> None:
    create_paid_pledge(container, client)
    create_paid_pledge(container, client, email="another@example.org")
    assert giving_twice(container, client) == 1


def test_staff_list_the_pledges_of_supporters_who_give_twice(
    container: Container, client: FlaskClient, pledges: tuple[str, str]
) -> None:
    others = {
        create_paid_pledge(container, client, email=None),
        create_paid_pledge(container, client, email="another@example.org"),
        create_paid_pledge(container, client, frequency="once"),
    }
    for yes, no in (("true", "false"), ("1", "0")):
        assert listed(container, client, giving_twice=yes) == set(pledges)
        assert listed(container, client, giving_twice=no) == others
    assert listed(container, client) == others | set(pledges)
    assert listed(container, client, giving_twice="true", frequency="annual") == set()
    for value in ("perhaps", "2", "yes", "True"):
        url = f"/v1/admin/pledges?giving_twice={value}"
        problem = client.get(url, headers=auth_headers(container, "read"))
        assert_problem(problem, 422, "validation_failed", field="giving_twice")
    AccessPath(container, client, "by link", pledges[0]).post("cancel", then="end")
    assert listed(container, client, giving_twice="true") == set()


def listed(container: Container, client: FlaskClient, **query: str) -> set[str]:
    found = get_json(client, auth_headers(container, "read"), "/v1/admin/pledges", **query)
    return {item["id"] for item in found["items"]}


@pytest.mark.parametrize(
    ("operation", "method", "fields", "words"),
    [
        ("cancel", "cancel_subscription", {"then": "end"}, "Your support wasn’t cancelled and is still active."),
        ("amount", "update_subscription_amount", {"amount": "5"}, "The amount wasn’t changed."),
    ],
)
def test_failed_operation_says_what_holds_now_and_not_what_was_charged(
    container: Container,
    access_path: AccessPath,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    method: str,
    fields: dict[str, str],
    words: str,
) -> None:
    monkeypatch.setattr(container.gateway, method, failing(GatewayRejected("x")))
    text = visible_text(access_path.post(operation, 409, **fields).text)
    assert words in text
    assert "charged" not in text
