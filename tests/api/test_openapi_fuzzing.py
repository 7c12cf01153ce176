"""The API keeps to its OpenAPI document: schemathesis finds nothing with any scope of token.

All its phases and checks run, valid and invalid requests alike, always with the same seed. Of what it reports,
only refusals are let pass that JSON Schema has no words for; `is_beyond_json_schema` lists them.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from schemathesis.checks import CheckResult
from schemathesis.core.failures import Failure
from schemathesis.engine import Status, events, from_schema
from schemathesis.openapi.checks import RejectedPositiveData
from werkzeug.serving import WSGIRequestHandler, make_server

from service.container import Container
from tests.api.client import new_idempotency_key, pay_pledge, post_pledge, post_reminder, staff_token

SEED = 20261123
MIN_CASES = 2000
# A day is given alone.
REMINDER_RULES = re.compile(
    r"Give either `months` or `due_on`\.|A reminder on a day of its own comes once; leave out `repeat`\."
)
# Rules between two fields of a campaign file, or between the file and its address.
KEYS_BY_WORDS = re.compile(r"(texts|(other_currencies\.\d+\.)?impact)\.")
CAMPAIGN_RULES = re.compile(
    r"The minimum is above the maximum\.|Presets must be from|The default must be from|Give one to six different"
    r"|Give each (frequency|currency) once|Give one that is offered|Give an hour later than send_hour"
    r"|Give amounts in [A-Z]{3}; the usual ones are in dollars|Give (one to|at most) six different numbers"
    r"|Give a language tag|Give what is kept, or null|Unknown field|Unknown placeholder"
    r"|Unmatched brace|This text depends on a number"
    # The brand: the contrast of two colours, and images that are not stored.
    r"|has a contrast of|Give accent too"
    # Origins and hosts: all that browsers read as one is taken, in any script and spelling, and as an IP address;
    # `schemas.web_origins` follows the URL standard and UTS 46, for which there is no pattern.
    r"|An origin begins with its scheme: |Only http and https can embed a campaign|An origin has no user name"
    r"|This was understood as |Give the host name alone|Give (an origin|a host name) such as "
    r"|No browser accepts the host name |is no port: give a number|is no IPv4 address\."
)


# What a campaign does not offer, which only its own answer says.
CAMPAIGN_CODES = {
    "amount_above_maximum",
    "amount_below_minimum",
    "amount_not_chargeable",
    "currency_not_accepted",
    "frequency_not_offered",
    "image_not_found",
    "reminder_choice_not_offered",
    "reminders_not_offered",
    "return_url_not_allowed",
}


class QuietHandler(WSGIRequestHandler):
    """Logs nothing."""

    def log(self, *args: Any) -> None: ...


@pytest.fixture
def base_url(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the application on a port of its own, with a pledge and a reminder; return its address."""
    monkeypatch.setattr("service.api.admin.campaigns.wait_for_ttl", lambda: None)
    server = make_server("127.0.0.1", 0, app, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


# What each scope may do, and how many examples of each operation make up enough requests.
SCOPES = {
    None: ({"path_regex": "^/v1/(?!admin/)"}, 60),
    "read": ({"path_regex": "^/v1/admin/(?!pledges/export)", "method": "GET"}, 60),
    "export": ({"path": "/v1/admin/pledges/export"}, 1300),
    "manage": ({"path_regex": "^/v1/admin/", "method": ["POST", "PUT", "DELETE"]}, 10),
}


@pytest.mark.parametrize("scope", SCOPES)
def test_api_keeps_to_its_document(app: Flask, container: Container, base_url: str, scope: str | None) -> None:
    operations, max_examples = SCOPES[scope]
    client = app.test_client()
    pay_pledge(container, post_pledge(client).json["id"], email="other@example.org")
    post_reminder(client)
    headers = {"Authorization": f"Bearer {staff_token(container, scope)}"} if scope else {}
    config = schemathesis.Config.from_dict(
        {
            "seed": SEED,
            "headers": headers,
            "generation": {"mode": "all", "max-examples": max_examples},
            "continue-on-failure": True,
            # Nothing the API answers holds a link to follow.
            "phases": {"stateful": {"enabled": False}},
        }
    )
    schema = schemathesis.openapi.from_url(f"{base_url}/openapi.json", config=config).include(**operations)
    cases, found = 0, Counter[str]()
    for event in from_schema(schema).execute():
        assert not isinstance(event, events.NonFatalError), event.info
        if isinstance(event, events.ScenarioFinished):
            cases += len(event.recorder.cases)
            found.update(describe_failures(event))
    assert not found, "\n".join(f"{count} × {failure}" for failure, count in found.items())
    assert cases >= MIN_CASES


def describe_failures(event: events.ScenarioFinished) -> Iterator[str]:
    """Describe what the checks found in one scenario."""
    for case_id, checks in event.recorder.checks.items():
        case = event.recorder.cases[case_id].value
        for check in checks:
            if check.status != Status.FAILURE:
                continue
            interaction = event.recorder.interactions.get(case_id)
            answer = interaction.response.content if interaction and interaction.response else b""
            if not is_beyond_json_schema(check, case, answer):
                failure: Failure = check.failure_info.failure
                request = f"{case.operation.label} {case.query!r:.200} {case.body!r:.200}"
                yield f"{request}, {check.name}: {failure.message}; {answer!r:.2000}"


def is_beyond_json_schema(check: CheckResult, case: schemathesis.Case, answer: bytes) -> bool:
    """Whether a refusal follows a rule that the document states in words only."""
    if check.name == "negative_data_rejection":
        # An empty field of a form is no filter, and a list or an object does not reach the server as one.
        return any(value == "" or isinstance(value, list | dict) for value in (case.query or {}).values())
    if not isinstance(check.failure_info.failure, RejectedPositiveData):
        return False
    problem = json.loads(answer)
    # The keys of `texts` are languages and names of texts; those of `impact` are what is offered and its presets.
    errors = {name: parts for name, parts in problem.get("errors", {}).items() if not KEYS_BY_WORDS.match(name)}
    messages = set(all_messages(errors))
    if holds_float(case.body):
        # To JSON Schema 5.0 is an integer; the API takes no whole number that is written with a decimal point.
        messages = {message for message in messages if not message.startswith("Give a whole number")}
    if problem.get("errors") and not messages:
        return True
    match case.operation.label, problem["code"]:
        case "PUT /v1/admin/campaigns/{slug}", "slug_mismatch":
            return True
        case "PUT /v1/admin/campaigns/{slug}", "validation_failed":
            return bool(messages) and all(CAMPAIGN_RULES.search(message) for message in messages)
        case "POST /v1/reminders" | "POST /v1/reminders/{token}/snooze", "validation_failed":
            return bool(messages) and all(REMINDER_RULES.fullmatch(message) for message in messages)
        case "POST /v1/webhooks/stripe", "invalid_signature":
            return True
        case _, code if code in CAMPAIGN_CODES:
            return True
    # A period that ends before it begins.
    return bool(messages) and all(re.fullmatch(r"This is before \w+_from\.", message) for message in messages)


def holds_float(body: Any) -> bool:
    """Whether a body holds a number with a decimal point, at any depth."""
    if isinstance(body, dict):
        return any(map(holds_float, body.values()))
    return any(map(holds_float, body)) if isinstance(body, list) else isinstance(body, float)


def all_messages(errors: Any) -> Iterator[str]:
    """Return the messages of a problem's `errors`, at any depth."""
    if isinstance(errors, str):
        yield errors
    else:
        for part in errors.values() if isinstance(errors, dict) else errors:
            yield from all_messages(part)


def test_key_is_required_before_the_campaign_is_looked_up(app: Flask, container: Container) -> None:
    body = {"campaign": "nowhere", "frequency": "once", "amount": 200, "currency": "USD"}
    response = app.test_client().post("/v1/pledges", json=body)
    assert (response.status_code, response.json["code"]) == (400, "idempotency_key_required")
    response = app.test_client().post("/v1/pledges", json=body, headers={"Idempotency-Key": new_idempotency_key()})
    assert (response.status_code, response.json["code"]) == (404, "campaign_not_found")


@pytest.mark.parametrize("value", [0, 1, 1.0, "true", "false", "", None])
def test_only_true_and_false_are_booleans(app: Flask, container: Container, value: Any) -> None:
    headers = {"Authorization": f"Bearer {staff_token(container, 'manage')}"}
    body = {"email": "nobody@example.org", "end_recurring": value}
    response = app.test_client().post("/v1/admin/erasures", json=body, headers=headers)
    assert response.status_code == 422
    assert "end_recurring" in response.json["errors"]
