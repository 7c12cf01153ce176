"""The texts that the box gets with its campaign: those of one language, few and small."""

import gzip
import json

import pytest
from flask.testing import FlaskClient

from schemas.translations import REMINDER_FORM_TEXTS, REMINDER_LIST_TEXTS, available_languages
from service.container import Container
from tests.api.client import update_campaign

MAX_GZIP_BYTES = 1228  # 1.2 KB


@pytest.mark.parametrize("lang", available_languages())
def test_box_gets_at_most_1200_bytes_of_one_language_at_a_time(
    container: Container, client: FlaskClient, lang: str
) -> None:
    # Most campaigns have one reminder and a privacy policy. The others add a list of reminders, or currencies.
    update_campaign(container, privacy_url="https://lantern.example/privacy")
    for part in ("first", "reminder"):
        campaign = client.get(f"/v1/campaigns/default?texts=full&part={part}&lang={lang}").json
        assert campaign["lang"] == lang
        texts = json.dumps([campaign["texts"], campaign["reminder"]["options"]], ensure_ascii=False)
        assert len(gzip.compress(texts.encode(), 9)) <= MAX_GZIP_BYTES


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_texts_of_the_reminder_form_come_with_that_form(
    container: Container, client: FlaskClient, lang: str
) -> None:
    update_campaign(container, reminder={"choices": [1, 6], "confirm": True})
    everything, first, reminder, unknown = (
        client.get(f"/v1/campaigns/default?texts=full&lang={lang}{part}").json["texts"]
        for part in ("", "&part=first", "&part=reminder", "&part=nothing")
    )
    assert first | reminder == everything == unknown
    assert not first.keys() & reminder.keys()
    assert reminder.keys() <= REMINDER_FORM_TEXTS
    assert {"reminder_set", "reminder_legend", "sending"} <= reminder.keys()


def box_texts(client: FlaskClient) -> set[str]:
    return set(client.get("/v1/campaigns/default?texts=full&lang=de").json["texts"])


OPTIONAL = {*REMINDER_LIST_TEXTS, "privacy_link", "currency", "frequency_changed", "cover_fees", "cover_fees_of"}


def test_texts_of_what_a_campaign_does_not_have_are_left_out(container: Container, client: FlaskClient) -> None:
    update_campaign(container)
    assert box_texts(client).isdisjoint(OPTIONAL)


def test_texts_of_what_a_campaign_has_are_added(container: Container, client: FlaskClient) -> None:
    update_campaign(
        container,
        privacy_url="https://lantern.example/privacy",
        reminder={"choices": [1], "pick_date": True},
        cover_fees={"basis_points": 290, "fixed": 30},
    )
    assert box_texts(client) >= OPTIONAL


def test_texts_before_the_campaign_are_not_sent_with_it(client: FlaskClient) -> None:
    assert box_texts(client).isdisjoint({"loading", "error_loading"})
