"""The public campaign resource: languages, caching and invalidation."""

import json
import re
import time
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from schemas.translations import BUILT_IN_TEXT_NAMES, REMINDER_LIST_TEXTS, TEXTS_BEFORE_CAMPAIGN, load_texts
from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.domain.campaigns.cache import TTL_SECONDS
from service.settings import Settings
from tests.api.client import assert_problem, auth_headers, campaign_definition, update_campaign
from tests.clock import FakeClock
from tests.processes import ROOT

DEFAULT = "/v1/campaigns/default"


def test_demo_campaign_matches_contract_example(client: FlaskClient) -> None:
    response = client.get(DEFAULT)
    assert response.status_code == 200
    assert response.content_type == "application/json"
    campaign = response.json
    assert campaign["slug"] == "default"
    assert (campaign["currency"], campaign["exponent"], campaign["lang"]) == ("USD", 2, "en")
    assert isinstance(campaign["message"], list)
    assert all(isinstance(paragraph, str) and "\n" not in paragraph for paragraph in campaign["message"])
    assert campaign["frequencies"][0] == {
        "frequency": "once",
        "presets": [500, 1500, 5000],
        "default": 1500,
        "minimum": 200,
        "maximum": 1_000_000,
    }
    assert [choice["frequency"] for choice in campaign["frequencies"]] == ["once", "monthly", "annual"]
    assert {choice["minimum"] for choice in campaign["frequencies"]} == {200}
    assert campaign["default_frequency"] == "monthly"
    reminder = campaign["reminder"]
    assert (reminder["enabled"], reminder["choices"]) == (True, [1])
    assert reminder["options"] == [
        {"months": 1, "repeat": False, "label": "Next month", "button": "Remind me next month"}
    ]
    assert campaign["support_url"] == "http://desk.test/support/default"
    assert campaign["manage_url"] == "http://desk.test/me?lang=en"
    assert "privacy_url" in campaign


def test_campaign_response_omits_staff_fields(client: FlaskClient) -> None:
    assert (
        not {"origins", "return_hosts", "timezone", "send_hour", "id", "updated_at"}
        & client.get(DEFAULT).json.keys()
    )


def test_campaign_is_cached_for_a_minute_and_revalidated_by_etag(client: FlaskClient) -> None:
    first = client.get(DEFAULT)
    assert first.headers["Cache-Control"] == "public, max-age=60, stale-while-revalidate=600"
    etag = first.headers["ETag"]
    assert etag.startswith('"')
    assert etag.endswith('"')
    for asked in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = client.get(DEFAULT, headers={"If-None-Match": asked})
        assert (again.status_code, again.data) == (304, b""), asked
        assert again.headers["ETag"] == etag
        assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
    for asked in ('"other"', etag[:-2] + '"', "", "nonsense"):
        assert client.get(DEFAULT, headers={"If-None-Match": asked}).status_code == 200, asked


def test_each_language_has_its_own_etag(client: FlaskClient) -> None:
    english, russian = client.get(DEFAULT), client.get(f"{DEFAULT}?lang=ru")
    assert english.headers["ETag"] != russian.headers["ETag"]
    mixed = client.get(f"{DEFAULT}?lang=ru", headers={"If-None-Match": english.headers["ETag"]})
    assert mixed.status_code == 200


def test_campaign_is_translated_to_requested_language(client: FlaskClient) -> None:
    campaign = client.get(f"{DEFAULT}?lang=ru").json
    assert campaign["lang"] == "ru"
    assert campaign["heading"] == "Эта газета держится на вас"
    assert "четыреста двенадцать" in campaign["message"][0]
    assert campaign["texts"]
    assert any("а" <= email <= "я" for text in campaign["texts"].values() for email in text)


@pytest.mark.parametrize("lang", ["ru-RU", "ru_RU", "RU"])
def test_regional_language_tag_falls_back_to_its_language(client: FlaskClient, lang: str) -> None:
    assert client.get(DEFAULT, query_string={"lang": lang}).json["lang"] == "ru"


@pytest.mark.parametrize("lang", ["", "xx", "tlh", "../ru", "ru\0", "💩", "x" * 3000, "en'--", "widget"])
def test_unknown_language_falls_back_to_campaign_language(client: FlaskClient, lang: str) -> None:
    response = client.get(DEFAULT, query_string={"lang": lang})
    assert (response.status_code, response.json["lang"]) == (200, "en")


def test_campaign_overrides_any_text(container: Container, client: FlaskClient) -> None:
    update_campaign(
        container,
        texts={"en": {"heading": "Stand with us"}, "fr": {"heading": "Tenez bon", "message": "Un.\n\nDeux."}},
    )
    assert client.get(DEFAULT).json["heading"] == "Stand with us"
    french = client.get(f"{DEFAULT}?lang=fr-CA").json
    assert (french["lang"], french["heading"], french["message"]) == ("fr", "Tenez bon", ["Un.", "Deux."])


@pytest.mark.parametrize(("currency", "exponent"), [("USD", 2), ("JPY", 0), ("KWD", 3)])
def test_campaign_includes_currency_exponent(
    container: Container, client: FlaskClient, currency: str, exponent: int
) -> None:
    update_campaign(container, currency=currency)
    assert client.get(DEFAULT).json["exponent"] == exponent


def test_campaign_support_url_overrides_default(container: Container, client: FlaskClient) -> None:
    update_campaign(
        container, support_url="https://paper.example/give", privacy_url="https://paper.example/privacy"
    )
    campaign = client.get(DEFAULT).json
    assert campaign["support_url"] == "https://paper.example/give"
    assert campaign["privacy_url"] == "https://paper.example/privacy"


@pytest.mark.parametrize("slug", ["none", "Default", "default ", "default%00", "%F0%9F%92%A9", "a" * 3000])
def test_unknown_campaign_is_not_found(client: FlaskClient, slug: str) -> None:
    assert_problem(client.get(f"/v1/campaigns/{slug}"), 404, "campaign_not_found")


def put(client: FlaskClient, container: Container, file: dict[str, Any]):
    return client.put(f"/v1/admin/campaigns/{file['slug']}", json=file, headers=auth_headers(container, "manage"))


def test_campaign_change_invalidates_cache_of_every_process(
    container: Container, client: FlaskClient, settings: Settings, clock: FakeClock
) -> None:
    other_process = create_app(build_container(settings, clock=clock)).test_client()
    before = client.get(DEFAULT).headers["ETag"]
    assert other_process.get(DEFAULT).headers["ETag"] == before
    clock.advance(seconds=1)
    assert (
        put(client, container, campaign_definition(container) | {"heading": "Changed just now"}).status_code == 200
    )
    for reader in (other_process, client):
        response = reader.get(DEFAULT, headers={"If-None-Match": before})
        assert (response.status_code, response.json["heading"]) == (200, "Changed just now")


def test_campaign_update_waits_for_cache_ttl(container: Container, client: FlaskClient, app: Flask) -> None:
    client.get(DEFAULT)
    began = time.monotonic()
    put(client, container, campaign_definition(container) | {"heading": "Changed"})
    assert time.monotonic() - began >= TTL_SECONDS


def test_widget_limits_equal_server_limits(container: Container, client: FlaskClient) -> None:
    choice = {"frequency": "once", "presets": [700], "default": 700, "minimum": 650, "maximum": 800}
    update_campaign(container, frequencies=[choice], default_frequency="once")
    shown = client.get(DEFAULT).json["frequencies"][0]
    assert shown == choice
    body = {"campaign": "default", "frequency": "once", "currency": "USD"}
    for amount, status in ((649, 422), (650, 201), (800, 201), (801, 422)):
        sent = client.post(
            "/v1/pledges", json=body | {"amount": amount}, headers={"Idempotency-Key": f"key-{amount:08}"}
        )
        assert sent.status_code == status, amount


def test_campaign_body_is_utf_8(client: FlaskClient) -> None:
    raw = client.get(f"{DEFAULT}?lang=ru").data
    assert "газета" in raw.decode("utf-8")
    assert json.loads(raw)


def test_full_texts_are_those_that_the_widget_does_not_have_built_in(client: FlaskClient) -> None:
    english = load_texts("widget", "en")
    build = (ROOT / "widget" / "build.mjs").read_text(encoding="utf-8")
    built_in = set(re.findall(r"\w+", re.search(r"BUILT_IN_TEXTS = \[(.*?)\]\.flatMap", build, re.DOTALL)[1]))
    assert built_in == BUILT_IN_TEXT_NAMES <= english.keys()
    full = client.get("/v1/campaigns/default?texts=full").json["texts"]
    # The default campaign has one reminder and no privacy policy.
    unused = TEXTS_BEFORE_CAMPAIGN | REMINDER_LIST_TEXTS | {"privacy_link"}
    assert full == {name: text for name, text in english.items() if name not in built_in | unused}
    russian = client.get("/v1/campaigns/default?texts=full&lang=ru").json["texts"]
    assert russian == {name: text for name, text in load_texts("widget", "ru").items() if name not in unused}
    # Other clients get only what differs from English.
    plain = client.get("/v1/campaigns/default")
    assert plain.json["texts"] == {}
    assert plain.headers["ETag"] != client.get("/v1/campaigns/default?texts=full").headers["ETag"]
