"""Custom schema fields: accepted values, and no conversion on input."""

import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError, fields

from schemas.base import unknown_field_message
from schemas.fields import (
    MAX_AMOUNT,
    BoundedInteger,
    MinorUnits,
    Text,
    TimezoneName,
    WebUrl,
    format_timestamp,
)
from schemas.period import DayOrInstant


def load(field: fields.Field, value: Any) -> Any:
    return Schema.from_dict({"value": field})().load({"value": value})["value"]


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=MAX_AMOUNT))
def test_valid_amount_is_unchanged(amount: int) -> None:
    assert load(MinorUnits(), amount) == amount


ANYTHING = st.one_of(
    st.floats(),
    st.text(),
    st.booleans(),
    st.integers(max_value=0),
    st.integers(min_value=MAX_AMOUNT + 1),
    st.lists(st.integers()),
)


@settings(deadline=None)
@given(ANYTHING)
def test_other_values_are_not_amounts(value: Any) -> None:
    with pytest.raises(ValidationError):
        load(MinorUnits(), value)


@settings(deadline=None)
@given(st.one_of(st.floats(), st.text(), st.booleans(), st.integers(max_value=0), st.integers(min_value=25)))
def test_other_values_are_not_months(value: Any) -> None:
    with pytest.raises(ValidationError):
        load(BoundedInteger(minimum=1, maximum=24), value)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        (MinorUnits(), "750", "Give a whole number of minor units, such as 750 for $7.50."),
        (MinorUnits(), 7.0, "Give a whole number of minor units, such as 750 for $7.50."),
        (MinorUnits(), True, "Give a whole number of minor units, such as 750 for $7.50."),
        (MinorUnits(), 0, "The amount must be more than zero."),
        (MinorUnits(), MAX_AMOUNT + 1, "The amount is too large."),
        (BoundedInteger(minimum=1, maximum=24), "5", "Give a whole number from 1 to 24."),
        (BoundedInteger(minimum=1, maximum=24), 5.0, "Give a whole number from 1 to 24."),
        (BoundedInteger(minimum=1, maximum=24), True, "Give a whole number from 1 to 24."),
        (BoundedInteger(minimum=1, maximum=24), 0, "Give a whole number from 1 to 24."),
        (BoundedInteger(minimum=1, maximum=24), 25, "Give a whole number from 1 to 24."),
    ],
)
def test_out_of_range_number_has_one_error(field: fields.Field, value: object, sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        load(field, value)
    assert refused.value.messages == {"value": [sentence]}


@settings(deadline=None)
@given(st.text(max_size=50))
def test_text_is_trimmed_or_rejected(text: str) -> None:
    try:
        loaded = load(Text(max_length=40), text)
    except ValidationError:
        return
    assert loaded == text.strip() != ""
    assert len(loaded) <= 40
    loaded.encode("utf-8")
    assert "\0" not in loaded
    assert "\n" not in loaded


@settings(deadline=None)
@given(st.text())
def test_web_url_raises_only_validation_errors(text: str) -> None:
    for url in (text, f"https://{text}", f"https://paper.example/{text}", f"https://{text}@paper.example"):
        try:
            loaded = load(WebUrl(), url)
        except ValidationError:
            continue
        assert loaded.lower().startswith(("http://", "https://"))
        assert "\\" not in loaded


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-12-23T08:00:00Z", "2026-12-23T08:00:00Z"),
        ("2026-12-23T08:00:00.999Z", "2026-12-23T08:00:00Z"),
        ("2026-12-23T09:00:00+01:00", "2026-12-23T08:00:00Z"),
    ],
)
def test_instant_is_rfc_3339_and_becomes_utc(written: str, instant: str) -> None:
    assert format_timestamp(load(DayOrInstant(), written)) == instant


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("0001-01-01T02:03:30+17:21", datetime.datetime.min.replace(tzinfo=datetime.UTC)),
        ("9999-12-31T23:00:00-17:21", datetime.datetime.max.replace(tzinfo=datetime.UTC)),
    ],
)
def test_instant_outside_the_calendar_is_its_end(written: str, utc: datetime.datetime) -> None:
    assert load(DayOrInstant(), written) == utc


@pytest.mark.parametrize("written", ["2026-12-23", "2028-02-29", "0001-01-01", "9999-12-30"])
def test_day_has_no_time(written: str) -> None:
    day = load(DayOrInstant(), written)
    assert type(day) is datetime.date
    assert str(day) == written


@settings(deadline=None)
@given(st.datetimes(timezones=st.timezones()))
def test_instant_round_trips(instant: datetime.datetime) -> None:
    try:
        utc = instant.astimezone(datetime.UTC).replace(microsecond=0)
    except OverflowError:
        return
    if utc.year >= 1000:
        assert load(DayOrInstant(), format_timestamp(utc)) == utc


@pytest.mark.parametrize("name", ["UTC", "Europe/Amsterdam", "America/Argentina/ComodRivadavia", "Etc/GMT+12"])
def test_timezone_name_is_exact(name: str) -> None:
    assert load(TimezoneName(), name) == name


@pytest.mark.parametrize(
    ("name", "known", "sentence"),
    [
        ("ammount", ["amount", "email"], "Unknown field; did you mean 'amount'?"),
        ("colour", ["amount", "email"], "Unknown field."),
        ("", ["amount"], "Unknown field."),
    ],
)
def test_unknown_name_suggests_closest_match(name: str, known: list[str], sentence: str) -> None:
    assert unknown_field_message(name, known) == sentence
