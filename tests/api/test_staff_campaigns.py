"""Campaign files over the API: replacement, validation and round trips."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from service.container import Container
from service.db.models.admin import AuditEntry
from service.db.models.campaign import Campaign
from tests.api.client import assert_problem, auth_headers, campaign_definition, count, with_changes


@pytest.fixture(autouse=True)
def _skip_ttl_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    # test_campaigns.py tests the wait for other processes.
    monkeypatch.setattr("service.api.admin.campaigns.wait_for_ttl", lambda: None)


def put(client: FlaskClient, container: Container, file: Any, slug: str = "default") -> TestResponse:
    return client.put(f"/v1/admin/campaigns/{slug}", json=file, headers=auth_headers(container, "manage"))


def get_file(client: FlaskClient, container: Container, slug: str = "default") -> dict[str, Any]:
    response = client.get(f"/v1/admin/campaigns/{slug}", headers=auth_headers(container, "read"))
    assert response.status_code == 200
    return response.json


def test_campaign_file_round_trips(client: FlaskClient, container: Container) -> None:
    file = get_file(client, container)
    response = put(client, container, file)
    assert (response.status_code, response.json) == (200, file)
    assert get_file(client, container) == file


def test_campaign_file_sets_every_field(client: FlaskClient, container: Container) -> None:
    assert get_file(client, container).keys() == {
        "slug", "name", "heading", "message", "currency", "lang", "frequencies", "default_frequency", "reminder",
        "privacy_url", "support_url", "origins", "return_hosts", "timezone", "send_hour", "send_until", "texts",
        "cover_fees", "other_currencies", "legal_name", "tax_line", "brand", "contact_url", "newsletter_url",
        "notices", "impact", "quiet_days",
    }  # fmt: skip


def test_new_campaign_needs_name_heading_and_message(client: FlaskClient, container: Container) -> None:
    file = {"slug": "climate", "name": "The Lantern", "heading": "Warm words", "message": "One.\n\nTwo\nlines."}
    response = put(client, container, file, slug="climate")
    assert response.status_code == 200
    campaign = response.json
    assert campaign["message"] == ["One.", "Two lines."]
    assert (campaign["currency"], campaign["lang"], campaign["timezone"], campaign["send_hour"]) == (
        "USD",
        "en",
        "UTC",
        9,
    )
    assert (campaign["origins"], campaign["return_hosts"], campaign["texts"]) == (["*"], [], {})
    assert campaign["reminder"] == {
        "enabled": True,
        "choices": [1],
        "repeats": [],
        "confirm": False,
        "pick_date": False,
    }
    assert campaign["notices"] == {"monthly_yearly": False, "renewal_days": 14}
    assert campaign["send_until"] == 21
    assert {choice["minimum"] for choice in campaign["frequencies"]} == {200}
    assert client.get("/v1/campaigns/climate").json["heading"] == "Warm words"


def test_missing_field_is_reset_to_default(client: FlaskClient, container: Container) -> None:
    put(
        client, container, campaign_definition(container) | {"send_hour": 17, "origins": ["https://paper.example"]}
    )
    short = {name: get_file(client, container)[name] for name in ("slug", "name", "heading", "message")}
    put(client, container, short)
    assert (get_file(client, container)["send_hour"], get_file(client, container)["origins"]) == (9, ["*"])


def test_reminder_choices_round_trip(client: FlaskClient, container: Container) -> None:
    reminder = {"enabled": True, "choices": [1, 3, 6, 12], "repeats": [3, 1], "confirm": True, "pick_date": True}
    file = campaign_definition(container) | {"reminder": reminder, "send_hour": 8, "send_until": 20}
    assert put(client, container, file).json == get_file(client, container) == file
    response = client.get("/v1/campaigns/default").json["reminder"]
    assert {name: response[name] for name in reminder} == reminder


@pytest.mark.parametrize(("begins", "ends"), [(0, 21), (9, 21), (20, 21), (21, 24), (23, 24)])
def test_send_until_defaults_to_evening_or_midnight(
    client: FlaskClient, container: Container, begins: int, ends: int
) -> None:
    file = campaign_definition(container) | {"send_hour": begins}
    del file["send_until"]
    assert put(client, container, file).json["send_until"] == ends


def test_removed_frequency_is_not_offered(client: FlaskClient, container: Container) -> None:
    file = campaign_definition(container)
    file["frequencies"] = [file["frequencies"][2], file["frequencies"][0]]
    file["default_frequency"] = "once"
    assert [choice["frequency"] for choice in put(client, container, file).json["frequencies"]] == [
        "annual",
        "once",
    ]


def test_slug_mismatch_is_rejected(client: FlaskClient, container: Container) -> None:
    assert_problem(put(client, container, campaign_definition(container), slug="other"), 422, "slug_mismatch")
    assert count(container, Campaign) == 1


def test_unknown_campaign_file_is_not_found(client: FlaskClient, container: Container) -> None:
    for slug in ("none", "x%00", "💩"):
        response = client.get(f"/v1/admin/campaigns/{slug}", headers=auth_headers(container, "read"))
        assert_problem(response, 404, "campaign_not_found")


def test_campaign_change_is_audited(client: FlaskClient, container: Container) -> None:
    put(client, container, campaign_definition(container))
    with container.database.read_only() as session:
        [entry] = session.scalars(select(AuditEntry)).all()
    assert (entry.action, entry.details) == ("put_campaign", {"campaign": "default"})


ONCE = {"frequency": "once"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"slug": "Default"}, "slug"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"heading": "x" * 201}, "heading"),
        ({"heading": "two\nlines"}, "heading"),
        ({"message": []}, "message"),
        ({"message": " \n\n "}, "message"),
        ({"message": [1]}, "message.0"),
        ({"message": None}, "message"),
        ({"currency": "usd"}, "currency"),
        ({"currency": "XYZ"}, "currency"),
        ({"lang": "plain English"}, "lang"),
        ({"frequencies": []}, "frequencies"),
        ({"frequencies": [ONCE, ONCE], "default_frequency": "once"}, "frequencies"),
        ({"frequencies": [{"frequency": "weekly"}]}, "frequencies.0.frequency"),
        ({"frequencies": [ONCE | {"minimum": 0}]}, "frequencies.0.minimum"),
        ({"frequencies": [ONCE | {"minimum": 2.5}]}, "frequencies.0.minimum"),
        ({"frequencies": [ONCE | {"minimum": 300, "maximum": 200}]}, "frequencies.0.minimum"),
        ({"frequencies": [ONCE | {"presets": []}]}, "frequencies.0.presets"),
        ({"frequencies": [ONCE | {"presets": [500, 300]}]}, "frequencies.0.presets"),
        ({"frequencies": [ONCE | {"presets": [500, 500]}]}, "frequencies.0.presets"),
        ({"frequencies": [ONCE | {"presets": [100, 500]}]}, "frequencies.0.presets"),
        ({"frequencies": [ONCE | {"presets": [200, 300, 400, 500, 600, 700, 800]}]}, "frequencies.0.presets"),
        ({"frequencies": [ONCE | {"presets": ["500"]}]}, "frequencies.0.presets.0"),
        ({"frequencies": [ONCE | {"default": 100}]}, "frequencies.0.default"),
        ({"frequencies": [ONCE | {"preset": [500]}]}, "frequencies.0.preset"),
        ({"frequencies": [ONCE], "default_frequency": "annual"}, "default_frequency"),
        ({"reminder": {"choices": []}}, "reminder.choices"),
        ({"reminder": {"choices": [1, 1]}}, "reminder.choices"),
        ({"reminder": {"choices": [0]}}, "reminder.choices.0"),
        ({"reminder": {"choices": [25]}}, "reminder.choices.0"),
        ({"reminder": {"choices": [1, 2, 3, 4, 5, 6, 7]}}, "reminder.choices"),
        ({"reminder": {"repeats": [3, 3]}}, "reminder.repeats"),
        ({"reminder": {"repeats": [1, 2, 3, 4, 5, 6, 7]}}, "reminder.repeats"),
        ({"reminder": {"repeats": [0]}}, "reminder.repeats.0"),
        ({"reminder": {"repeats": [1, 13]}}, "reminder.repeats.1"),
        ({"reminder": {"repeats": [True]}}, "reminder.repeats.0"),
        ({"reminder": {"repeats": 3}}, "reminder.repeats"),
        ({"reminder": {"confirm": "yes"}}, "reminder.confirm"),
        ({"reminder": {"pick_date": "yes"}}, "reminder.pick_date"),
        ({"reminder": {"enabled": "yes"}}, "reminder.enabled"),
        ({"notices": {"monthly_yearly": "yes"}}, "notices.monthly_yearly"),
        ({"impact": {"monthly": {"700": "x" * 61}}}, "impact.monthly.700"),
        ({"impact": {"monthly": {"700": " "}}}, "impact.monthly.700"),
        ({"impact": {"monthly": {"701": "Pays for a day"}}}, "impact.monthly.701"),
        ({"impact": {"monthly": {"$7": "Pays for a day"}}}, "impact.monthly.$7"),
        ({"impact": {"weekly": {"700": "Pays for a day"}}}, "impact.weekly"),
        ({"texts": {"ru": {"impact_monthly_701": "День"}}}, "texts.ru.impact_monthly_701"),
        ({"quiet_days": 0}, "quiet_days"),
        ({"quiet_days": 366}, "quiet_days"),
        ({"notices": {"renewal_days": 0}}, "notices.renewal_days"),
        ({"notices": {"renewal_days": 61}}, "notices.renewal_days"),
        ({"notices": {"renewal_days": "14"}}, "notices.renewal_days"),
        ({"notices": {"yearly": True}}, "notices.yearly"),
        ({"reminder": {"on": True}}, "reminder.on"),
        ({"privacy_url": "javascript:alert(1)"}, "privacy_url"),
        ({"support_url": "/give"}, "support_url"),
        ({"contact_url": "mailto:desk@paper.example"}, "contact_url"),
        ({"newsletter_url": "paper.example"}, "newsletter_url"),
        ({"origins": ["paper.example"]}, "origins.0"),
        ({"origins": ["https://paper.example/path"]}, "origins.0"),
        ({"origins": ["https://*.paper.example"]}, "origins.0"),
        ({"return_hosts": ["https://paper.example"]}, "return_hosts.0"),
        ({"return_hosts": ["*"]}, "return_hosts.0"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"send_hour": 24}, "send_hour"),
        ({"send_hour": -1}, "send_hour"),
        ({"send_hour": "9"}, "send_hour"),
        ({"send_hour": 21}, "send_until"),
        ({"send_until": 9}, "send_until"),
        ({"send_until": 0}, "send_until"),
        ({"send_until": 25}, "send_until"),
        ({"send_until": None}, "send_until"),
        ({"texts": {"english!": {}}}, "texts.english!"),
        ({"texts": {"en": {"headin": "x"}}}, "texts.en.headin"),
        ({"texts": {"en": {"mail_subject": "Hello {nobody}"}}}, "texts.en.mail_subject"),
        ({"texts": {"en": {"mail_subject": "Hello {"}}}, "texts.en.mail_subject"),
        ({"texts": {"en": {"mail_subject": "{campaign.__class__}"}}}, "texts.en.mail_subject"),
        ({"texts": {"en": {"mail_subject": "{campaign!r:>9999999}"}}}, "texts.en.mail_subject"),
        ({"texts": []}, "texts"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_invalid_campaign_file_is_rejected_with_field(
    client: FlaskClient, container: Container, change: dict[str, Any], field: str
) -> None:
    before = campaign_definition(container)
    problem = assert_problem(put(client, container, with_changes(before, change)), 422, "validation_failed")
    assert any(name == field or name.startswith(f"{field}.") for name in problem["errors"]), problem["errors"]
    assert campaign_definition(container) == before
