"""Email addresses in the payloads of gateway events."""

import json

import pytest

from service.domain.event_addresses import find_addresses, redact_payload


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", set()),
        ("no address", set()),
        ("ada@paper.example", {"ada@paper.example"}),
        ("Ada <ada@paper.example>, bob@paper.example.", {"ada@paper.example", "bob@paper.example"}),
        ("mailto:ada@paper.example", {"ada@paper.example"}),
        ("@paper.example ada@ @", set()),
        ("x" * 900_000, set()),
        ("x" * 900_000 + "@", set()),
        ("@" * 900_000, set()),
        ("a@" * 300_000, set()),
        ("x " * 300_000 + "ada@paper.example", {"ada@paper.example"}),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_addresses_are_found_in_linear_time(text: str, found: set[str]) -> None:
    payload = json.dumps({"data": {"object": {"note": [text]}}})
    assert find_addresses(payload) == found
    redacted = json.loads(redact_payload(payload) or "")
    is_kept = redacted["data"]["object"]["note"] == [text]
    assert is_kept or "@" in text


@pytest.mark.parametrize("depth", [10, 400, 900, 5_000])
def test_deeply_nested_payload_is_no_error(depth: int) -> None:
    payload = '{"a":' * depth + '"ada@paper.example"' + "}" * depth
    assert find_addresses(payload) == {"ada@paper.example"}
    assert "ada@" not in (redact_payload(payload) or "")
