"""Labels and texts of reminder options, in every language."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from schemas.translations import NAMESPACES, load_texts, parse_placeholders
from service.container import Container
from tests.api.client import update_campaign

DEFAULT = "/v1/campaigns/default"
ENGLISH, RUSSIAN = DEFAULT, f"{DEFAULT}?lang=ru"


def labels(client: FlaskClient, address: str = ENGLISH) -> list[str]:
    """Return the labels of all reminder options, in order."""
    return [option["label"] for option in client.get(address).json["reminder"]["options"]]


def test_one_off_options_come_before_repeating_ones(container: Container, client: FlaskClient) -> None:
    update_campaign(container, reminder={"choices": [3, 1], "repeats": [12, 3]})
    reminder = client.get(DEFAULT).json["reminder"]
    assert (reminder["choices"], reminder["repeats"], reminder["confirm"]) == ([3, 1], [12, 3], False)
    assert reminder["options"] == [
        {"months": 3, "repeat": False, "label": "In 3 months", "button": "Remind me in 3 months"},
        {"months": 1, "repeat": False, "label": "Next month", "button": "Remind me next month"},
        {"months": 12, "repeat": True, "label": "Every year, until I cancel", "button": "Remind me"},
        {"months": 3, "repeat": True, "label": "Every 3 months, until I cancel", "button": "Remind me"},
    ]


@pytest.mark.parametrize(
    ("address", "texts"),
    [
        (ENGLISH, ["Next month", "In 2 months", "In 5 months", "In a year", "In 2 years"]),
        (
            RUSSIAN,
            ["Через месяц", "Через 2 месяца", "Через 5 месяцев", "Через год", "Через 2 года"],
        ),
    ],
)
def test_every_delay_has_a_label(
    container: Container, client: FlaskClient, address: str, texts: list[str]
) -> None:
    update_campaign(container, reminder={"choices": [1, 2, 5, 12, 24]})
    assert labels(client, address) == texts


@pytest.mark.parametrize(
    ("address", "intervals", "end"),
    [
        (ENGLISH, ["Every month", "Every 2 months", "Every 6 months", "Every year"], ", until I cancel"),
        (RUSSIAN, ["Каждый месяц", "Каждые 2 месяца", "Каждые 6 месяцев", "Каждый год"], ", пока не отменю"),
    ],
)
def test_every_interval_has_a_label(
    container: Container, client: FlaskClient, address: str, intervals: list[str], end: str
) -> None:
    update_campaign(container, reminder={"repeats": [1, 2, 6, 12]})
    assert labels(client, address)[1:] == [interval + end for interval in intervals]


def test_campaign_overrides_labels_in_another_language(container: Container, client: FlaskClient) -> None:
    reminder = {"choices": [1, 3], "repeats": [1, 3]}
    texts = {"reminder_next_month": "Volgende maand", "reminder_every_month": "Elke maand, tot ik afzeg"}
    update_campaign(container, reminder=reminder, texts={"nl": texts})
    # Without an override, the label is all English, not a mix of two languages.
    theirs = ["Volgende maand", "In 3 months", "Elke maand, tot ik afzeg"]
    assert labels(client, f"{DEFAULT}?lang=nl") == [*theirs, "Every 3 months, until I cancel"]


def test_campaign_overrides_plural_forms_of_its_language(container: Container, client: FlaskClient) -> None:
    forms = {
        "one": "Každý měsíc",
        "few": "Každé {count} měsíce",
        "many": "Po {count}",
        "other": "Každých {count} měsíců",
    }
    texts = {f"reminder_every_months_{category}": text for category, text in forms.items()}
    update_campaign(container, reminder={"repeats": [3, 5]}, texts={"cs": texts})
    assert labels(client, f"{DEFAULT}?lang=cs")[1:] == ["Každé 3 měsíce", "Každých 5 měsíců"]


def test_button_label_uses_plural_form(container: Container, client: FlaskClient) -> None:
    update_campaign(container, reminder={"choices": [1, 3, 5, 12, 24]})
    buttons = [
        [option["button"] for option in client.get(address).json["reminder"]["options"]]
        for address in (ENGLISH, RUSSIAN)
    ]
    assert buttons == [
        [
            "Remind me next month",
            "Remind me in 3 months",
            "Remind me in 5 months",
            "Remind me in a year",
            "Remind me in 2 years",
        ],
        [
            "Напомнить через месяц",
            "Напомнить через 3 месяца",
            "Напомнить через 5 месяцев",
            "Напомнить через год",
            "Напомнить через 2 года",
        ],
    ]


def test_reminder_options_change_etag_in_every_language(container: Container, client: FlaskClient) -> None:
    update_campaign(container, slug="again", reminder={"repeats": [3]})
    addresses = [f"/v1/campaigns/{slug}?lang={lang}" for slug in ("default", "again") for lang in ("en", "ru")]
    etags = [client.get(address).headers["ETag"] for address in addresses]
    assert len(set(etags)) == len(addresses)
    revalidated = client.get(addresses[3], headers={"If-None-Match": etags[3]})
    assert revalidated.status_code == 304


def test_single_reminder_option_keeps_default_texts(client: FlaskClient) -> None:
    assert client.get(ENGLISH).json["texts"] == {}
    assert client.get(RUSSIAN).json["texts"].items() <= load_texts("widget", "ru").items()


def texts_with(
    container: Container, client: FlaskClient, address: str = ENGLISH, **changes: Any
) -> dict[str, str]:
    """Return the texts of a campaign with these changes."""
    update_campaign(container, **changes)
    return client.get(address).json["texts"]


@pytest.mark.parametrize("address", [ENGLISH, RUSSIAN])
def test_repeating_reminder_texts_do_not_promise_a_single_email(
    container: Container, client: FlaskClient, address: str
) -> None:
    texts = texts_with(container, client, address, reminder={"repeats": [3]})
    about_mails = [texts[name] for name in ("reminder_message", "reminder_consent", "reminder_date")]
    assert not any(word in text for text in about_mails for word in ("once", "one", "один", "этого"))


@pytest.mark.parametrize("repeats", [[], [3]], ids=["once", "again and again"])
@pytest.mark.parametrize(
    ("address", "heading", "message"),
    [(ENGLISH, "Almost there!", "Please confirm in the email"), (RUSSIAN, "Почти готово!", "Подтвердите")],
)
def test_confirmation_texts_are_used_if_required(
    container: Container, client: FlaskClient, address: str, heading: str, message: str, repeats: list[int]
) -> None:
    texts = texts_with(container, client, address, reminder={"confirm": True, "repeats": repeats})
    assert texts["reminder_set"] == heading
    assert message in texts["reminder_date"]
    assert "{date}" in texts["reminder_date"]


def test_confirmed_reader_gets_text_without_confirmation(container: Container, client: FlaskClient) -> None:
    texts = texts_with(container, client, reminder={"confirm": True})
    assert texts["reminder_date"].endswith(load_texts("pages", "en")["reminder_set_known"])


def test_campaign_overrides_win_over_replacement_texts(container: Container, client: FlaskClient) -> None:
    own = {"reminder_set": "Look at your mail!", "reminder_consent": "For your reminders."}
    texts = texts_with(container, client, reminder={"confirm": True, "repeats": [3]}, texts={"en": own})
    assert own.items() <= texts.items()
    assert "confirm" in texts["reminder_date"]


def test_text_names_are_unique_across_namespaces() -> None:
    names = [name for place in NAMESPACES for name in load_texts(place, "en")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("choices", "pick_date", "heading", "message"),
    [
        ([1], False, None, None),
        ([3], False, "Remind me later", None),
        ([1, 3], False, "Remind me later", "Choose when we should email you."),
        ([1], True, "Remind me later", "Choose when we should email you."),
    ],
)
def test_heading_and_message_fit_the_choices(
    container: Container,
    client: FlaskClient,
    choices: list[int],
    pick_date: bool,
    heading: str | None,
    message: str | None,
) -> None:
    texts = texts_with(container, client, reminder={"choices": choices, "pick_date": pick_date})
    assert (texts.get("reminder_heading"), texts.get("reminder_message")) == (heading, message)


def test_replacement_texts_name_widget_texts_with_known_placeholders() -> None:
    for name, text in load_texts("reminders", "en").items():
        plain, _, kind = name.rpartition("_")
        if kind in ("later", "choice", "repeats", "confirm"):
            assert parse_placeholders(text) <= parse_placeholders(load_texts("widget", "en")[plain])
