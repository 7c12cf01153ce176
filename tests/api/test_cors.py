"""CORS: origins that a campaign lists, without credentials, and never for staff routes."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from service.container import Container
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from tests.api.client import (
    assert_problem,
    auth_headers,
    campaign_definition,
    count,
    pay_pledge,
    post_pledge,
    post_reminder,
    update_campaign,
)

PAPER = "https://paper.example"
OTHER_ORIGIN = "https://stranger.example"
ALLOW = "Access-Control-Allow-Origin"


@pytest.fixture
def listed(container: Container) -> None:
    """Allow only the paper's origin."""
    update_campaign(container, origins=[PAPER, "https://www.paper.example", "http://localhost:3000"])


def preflight(client: FlaskClient, path: str, origin: str, method: str = "POST") -> TestResponse:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type,idempotency-key",
    }
    return client.options(path, headers=headers)


def test_default_cors_allows_any_origin(client: FlaskClient) -> None:
    for response in (
        client.get("/v1/campaigns/default", headers={"Origin": OTHER_ORIGIN}),
        post_pledge(client, origin=OTHER_ORIGIN),
        post_reminder(client, origin=OTHER_ORIGIN),
        post_reminder(client, origin="null"),
    ):
        assert response.status_code in (200, 201)
        assert response.headers[ALLOW] == "*"


def test_cors_exposes_widget_headers(client: FlaskClient) -> None:
    exposed = post_pledge(client, origin=PAPER).headers["Access-Control-Expose-Headers"]
    assert {"ETag", "Idempotent-Replayed", "Retry-After", "X-Request-Id"} <= set(exposed.split(", "))


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("origin", [PAPER, "https://www.paper.example", "http://localhost:3000"])
def test_listed_origin_is_allowed(client: FlaskClient, origin: str) -> None:
    for response in (
        client.get("/v1/campaigns/default", headers={"Origin": origin}),
        post_pledge(client, origin=origin),
        post_reminder(client, origin=origin),
    ):
        assert response.status_code in (200, 201)
        assert response.headers[ALLOW] == origin
        assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize(
    "written",
    ["https://paper.example/", "https://Paper.Example", "https://PAPER.example/", "https://paper.example:443/"],
)
def test_listed_origin_is_normalised(client: FlaskClient, container: Container, written: str) -> None:
    update_campaign(container, origins=[written])
    for response in (
        client.get("/v1/campaigns/default", headers={"Origin": PAPER}),
        post_pledge(client, origin=PAPER),
        post_reminder(client, origin=PAPER),
    ):
        assert response.status_code in (200, 201)
        assert response.headers[ALLOW] == PAPER
    assert_problem(post_pledge(client, origin=OTHER_ORIGIN), 403, "origin_not_allowed")


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    "origin",
    [
        OTHER_ORIGIN,
        "null",
        "",
        "http://paper.example",
        "https://paper.example:8443",
        "https://evil.paper.example",
        "https://paper.example.evil.example",
        "https://paper.example/",
        "https://paper.example, https://stranger.example",
        "https://пейпер.example",
        "file://",
        "*",
    ],
)
def test_unlisted_origin_is_rejected_without_side_effects(
    client: FlaskClient, container: Container, origin: str
) -> None:
    raw = origin.encode().decode("latin-1")
    headers = {"Origin": raw, "Idempotency-Key": "from-a-strange-page"}
    body = {"campaign": "default", "frequency": "monthly", "amount": 200, "currency": "USD"}
    for response in (
        client.get("/v1/campaigns/default", headers={"Origin": raw}),
        client.post("/v1/pledges", json=body, headers=headers),
        client.post("/v1/reminders", json={"campaign": "default", "email": "a@example.org"}, headers=headers),
    ):
        # The refusal itself can be read, so that a box on a page that was allowed before can say what happened.
        assert_problem(response, 403, "origin_not_allowed")
        assert response.headers[ALLOW] == "*"
    assert count(container, Pledge) == count(container, Reminder) == 0


@pytest.mark.usefixtures("listed")
def test_requests_without_origin_and_own_origin_are_allowed(client: FlaskClient) -> None:
    assert post_pledge(client).status_code == 201
    assert post_pledge(client, origin="http://desk.test").status_code == 201


@pytest.mark.usefixtures("listed")
def test_unlisted_origin_cannot_read_pledge(client: FlaskClient) -> None:
    pledge_id = post_pledge(client).json["id"]
    assert_problem(
        client.get(f"/v1/pledges/{pledge_id}", headers={"Origin": OTHER_ORIGIN}), 403, "origin_not_allowed"
    )
    assert client.get(f"/v1/pledges/{pledge_id}", headers={"Origin": PAPER}).headers[ALLOW] == PAPER


@pytest.mark.usefixtures("listed")
def test_error_responses_have_cors_headers(client: FlaskClient) -> None:
    headers = {"Origin": PAPER, "Idempotency-Key": "12345678"}
    for response in (
        post_pledge(client, origin=PAPER, amount=1),
        post_reminder(client, origin=PAPER, email="nobody"),
        client.post("/v1/pledges", data="{", headers=headers | {"Content-Type": "application/json"}),
        client.post("/v1/pledges", data="x", headers=headers | {"Content-Type": "text/plain"}),
        client.post("/v1/pledges", data=b" " * 70_000, headers=headers | {"Content-Type": "application/json"}),
        client.get("/v1/pledges/00000000-0000-0000-0000-000000000000", headers=headers),
    ):
        assert response.status_code >= 400
        assert response.headers[ALLOW] == PAPER
        assert response.get_json(force=True)["code"]


@pytest.mark.parametrize(
    "path", ["/v1/pledges", "/v1/reminders", "/v1/campaigns/default", "/v1/reminders/token/cancel"]
)
def test_preflight_allows_listed_origin(
    client: FlaskClient, container: Container, listed: None, path: str
) -> None:
    response = preflight(client, path, PAPER)
    assert (response.status_code, response.data) == (204, b"")
    assert response.headers[ALLOW] == PAPER
    assert {"GET", "POST"} <= set(response.headers["Access-Control-Allow-Methods"].split(", "))
    allowed = response.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"content-type", "idempotency-key", "if-none-match"} <= set(allowed)
    assert int(response.headers["Access-Control-Max-Age"]) > 0


def test_preflight_denies_unlisted_origin(client: FlaskClient, listed: None) -> None:
    response = preflight(client, "/v1/pledges", OTHER_ORIGIN)
    assert response.status_code == 204
    assert not [name for name, _ in response.headers if name.startswith("Access-Control-")]


def test_staff_routes_have_no_cors_headers(client: FlaskClient, container: Container) -> None:
    for path in (
        "/v1/admin/pledges",
        "/v1/admin/pledges/export",
        "/v1/admin/summary",
        "/v1/admin/campaigns/default",
    ):
        response = preflight(client, path, PAPER, method="GET")
        assert not [name for name, _ in response.headers if name.startswith("Access-Control-")]
        headers = auth_headers(container, "read", "export") | {"Origin": PAPER}
        for sent in (headers, {"Origin": PAPER}):
            response = client.get(path, headers=sent)
            assert not [name for name, _ in response.headers if name.startswith("Access-Control-")]


def test_cors_never_allows_credentials(client: FlaskClient, container: Container) -> None:
    created = post_pledge(client, origin=PAPER)
    pay_pledge(container, created.json["id"])
    for response in (
        created,
        post_reminder(client, origin=PAPER),
        post_pledge(client, origin=PAPER, amount=1),
        client.get("/v1/campaigns/default", headers={"Origin": PAPER}),
        preflight(client, "/v1/pledges", PAPER),
        client.get("/v1/nothing", headers={"Origin": PAPER}),
        client.get("/v1/admin/summary", headers=auth_headers(container, "read")),
    ):
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/nothing", 404),
        ("/v1/", 404),
        ("/v1/pledges/", 404),
        ("/v1/pledges/no-uuid", 404),
        ("/v1/pledges//x", 404),
        ("/v1/campaigns", 404),
        ("/v1/reminders/token/forget", 404),
        # These exist, but not for pages of other sites.
        ("/v1/webhooks/stripe", 200),
        ("/v1/webhooks/mail/mailgun", 200),
        ("/v1/admin/pledges", 200),
        ("/support/default", 200),
    ],
)
def test_preflight_is_answered_only_for_public_routes_that_exist(
    client: FlaskClient, path: str, status: int
) -> None:
    response = preflight(client, path, PAPER)
    assert response.status_code == status
    assert not [name for name, _ in response.headers if name.startswith("Access-Control-Allow-")]


def test_umlaut_origin_is_listed_as_browsers_write_it(client: FlaskClient, container: Container) -> None:
    update_campaign(container, origins=["https://Zeitung-München.example"])
    origin = "https://xn--zeitung-mnchen-osb.example"
    assert post_pledge(client, origin=origin).headers[ALLOW] == origin
    assert preflight(client, "/v1/pledges", origin).headers[ALLOW] == origin


@pytest.mark.parametrize(
    "stored", ["https://paper.example:443", "https://Paper.example", "https://paper.example/"]
)
def test_origin_that_an_older_release_stored_is_normalised(
    client: FlaskClient, container: Container, stored: str
) -> None:
    with container.database.transaction() as session:
        session.execute(update(Campaign).values(origins=[stored]))
    assert post_pledge(client, origin=PAPER).headers[ALLOW] == PAPER
    assert_problem(post_pledge(client, origin=OTHER_ORIGIN), 403, "origin_not_allowed")


@pytest.mark.parametrize(
    ("field", "written", "says"),
    [
        ("origins", "https://paper.example/news", "https://paper.example"),
        ("origins", "https://*.paper.example", "list each origin"),
        ("return_hosts", "https://paper.example/thanks", "understood as paper.example"),
        ("return_hosts", "*.paper.example", "list each host"),
    ],
)
def test_origin_with_more_than_a_host_is_refused(
    client: FlaskClient, container: Container, field: str, written: str, says: str
) -> None:
    headers = auth_headers(container, "manage")
    body = campaign_definition(container) | {field: [written]}
    response = client.put("/v1/admin/campaigns/default", json=body, headers=headers)
    problem = assert_problem(response, 422, "validation_failed")
    assert says in str(problem["errors"])
