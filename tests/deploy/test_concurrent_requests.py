"""Concurrent requests to a real gunicorn with two processes on PostgreSQL create one pledge per key."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from sqlalchemy import func, select

from service.container import Container
from service.db.models.pledge import IdempotencyKey, Pledge, PledgeStatusChange
from tests.processes import web

PLEDGE = {"campaign": "default", "frequency": "monthly", "amount": 200, "currency": "USD"}


@pytest.fixture
def base(container: Container, tmp_path: Path) -> Iterator[str]:
    with web(container.settings.database_url, tmp_path / "log", WEB_CONCURRENCY="2") as base:
        yield base


def post(base: str, key: str) -> requests.Response:
    return requests.post(f"{base}/v1/pledges", json=PLEDGE, headers={"Idempotency-Key": key}, timeout=30)


def count_rows(container: Container, table: type) -> int | None:
    with container.database.read_only() as session:
        return session.scalar(select(func.count()).select_from(table))


def test_concurrent_requests_create_one_pledge_per_idempotency_key(container: Container, base: str) -> None:
    with ThreadPoolExecutor(50) as pool:
        responses = list(pool.map(lambda _: post(base, "the-same-key-for-all"), range(50)))
    made = [response for response in responses if response.status_code == 201]
    waiting = [response for response in responses if response.status_code != 201]
    assert made
    assert len({response.text for response in made}) == 1
    # Exactly one request created the pledge; all other successful ones are replays.
    assert Counter(response.headers.get("Idempotent-Replayed") for response in made)[None] == 1
    assert {(response.status_code, response.json()["code"]) for response in waiting} <= {
        (409, "request_in_progress")
    }
    assert all(response.headers["Retry-After"] == "1" for response in waiting)
    assert (
        count_rows(container, Pledge)
        == count_rows(container, PledgeStatusChange)
        == count_rows(container, IdempotencyKey)
        == 1
    )
    with container.database.read_only() as session:
        assert session.scalar(select(Pledge.checkout_url)) == made[0].json()["checkout_url"]
    # A request rejected with Retry-After gets the same response then.
    again = post(base, "the-same-key-for-all")
    assert (again.status_code, again.text) == (201, made[0].text)

    with ThreadPoolExecutor(50) as pool:
        responses = list(pool.map(lambda number: post(base, f"a-key-of-its-own-{number}"), range(50)))
    assert {response.status_code for response in responses} == {201}
    assert len({response.json()["checkout_url"] for response in responses}) == 50
    assert count_rows(container, Pledge) == 51
