"""Erasures, merges, sign-ups and events about the same people at the same moment: nobody waits in a circle."""

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from jobs.privacy import erase_supporters
from schemas.enums import ErasureStatus, Frequency, PledgeStatus
from service.app import create_app
from service.container import Container
from service.db.models.email_change import EmailChange
from service.db.models.pledge import Pledge
from service.domain.email_changes import email_change_token, request_email_change
from service.domain.errors import SupporterNotFound
from service.domain.payments import event_processing
from service.domain.privacy import merging
from service.domain.privacy.address_changes import change_address
from service.domain.supporters import supporter_ids_for
from tests.api.client import assert_problem, auth_headers, post_reminder
from tests.clock import FakeClock
from tests.events.stripe_fixture import StripeScenario
from tests.stripe_double import FakeStripe
from tests.threads import RUNNING

ADA, GRACE = "ada@news.example", "grace@news.example"
# Longer than any action takes on a busy machine.
PATIENCE_SECONDS = 300


def give(scenario: StripeScenario, email: str, frequency: Frequency = Frequency.MONTHLY) -> uuid.UUID:
    before = len(scenario.stripe.events)
    checkout = scenario.create_checkout(frequency)
    scenario.stripe.pay(scenario.session_of(checkout), email=email)
    scenario.deliver_webhooks(*scenario.stripe.events[before:])
    scenario.run_until_idle()
    return checkout.id


def supporter_of(container: Container, email: str) -> uuid.UUID:
    with container.database.read_only() as session:
        return supporter_ids_for(session, email)[0]


def pledge_of(container: Container, pledge_id: uuid.UUID) -> Pledge:
    with container.database.read_only() as session:
        return session.get_one(Pledge, pledge_id)


def link_to(container: Container, supporter_id: uuid.UUID, email: str) -> str:
    """Return the token of a link that gives a supporter another address."""
    with container.database.transaction() as session:
        request_email_change(session, supporter_id, email, lang="en", now=container.clock())
    with container.database.read_only() as session:
        change = session.scalars(select(EmailChange).order_by(EmailChange.id.desc())).first()
        assert change is not None
        return email_change_token(container.database.keyring, change.id, change.requested_at)


class Pause:
    """Stops a transaction at the first call of a function, until another waits for its locks or has ended."""

    def __init__(self, container: Container, monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
        self._container = container
        self._has_begun, self._has_ended = threading.Event(), threading.Event()
        self.was_waited_for = False
        original = getattr(module, name)

        def paused(*args: Any, **kwargs: Any) -> Any:
            if not self._has_begun.is_set():
                self._has_begun.set()
                self._wait()
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, paused)

    def run_within(self, action: Callable[[], object]) -> object:
        """Run an action once the transaction has stopped."""
        assert self._has_begun.wait(PATIENCE_SECONDS)
        try:
            return action()
        finally:
            self._has_ended.set()

    def _wait(self) -> None:
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while not (self._has_ended.wait(0.05) or self.was_waited_for):
            with self._container.database.read_only() as session:
                self.was_waited_for = bool(session.scalar(waiting))


def run_together(*actions: Callable[[], object]) -> list[object]:
    """Run actions in threads of their own; return the result of each, or its error."""
    results: list[object] = [None] * len(actions)
    barrier = threading.Barrier(len(actions))

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = actions[number]()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert not any(thread.is_alive() for thread in threads), "the actions wait for each other"
    return results


def erase(container: Container, email: str, app: Flask | None = None) -> Any:
    client = (app or create_app(container)).test_client()
    return client.post("/v1/admin/erasures", json={"email": email}, headers=auth_headers(container, "manage"))


def test_erasure_waits_for_an_event_that_is_being_applied(
    container: Container, scenario: StripeScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    pledge_id = give(scenario, ADA)
    before = len(scenario.stripe.events)
    scenario.stripe.renew(pledge_of(container, pledge_id).subscription_reference)
    scenario.deliver_webhooks(*scenario.stripe.events[before:])
    pause = Pause(container, monkeypatch, event_processing, "handle_event")
    applied, status = run_together(
        scenario.run_event_job, lambda: pause.run_within(lambda: erase(container, ADA).status_code)
    )
    assert not isinstance(applied, Exception), applied
    assert status == 200
    assert pause.was_waited_for
    assert pledge_of(container, pledge_id).erased_at is not None


# Every merge takes these steps: before it locks reminders, and when it holds all of its locks but one.
@pytest.mark.parametrize("step", ["_lock_reminders", "delete"])
def test_merge_waits_for_a_sign_up(
    client: FlaskClient, container: Container, scenario: StripeScenario, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    for email in (ADA, GRACE):
        assert post_reminder(client, email=email).status_code == 201
    ada = supporter_of(container, ADA)
    pause = Pause(container, monkeypatch, merging, step)
    merged, status = run_together(
        lambda: merge(container, ada, GRACE),
        lambda: pause.run_within(lambda: post_reminder(client, email=GRACE).status_code),
    )
    assert merged is True, merged
    assert status == 201
    assert pause.was_waited_for


def test_two_supporters_that_are_merged_into_each_other_become_one(
    container: Container, scenario: StripeScenario
) -> None:
    for number in range(4):
        emails = [f"{name}{number}@news.example" for name in ("ada", "grace")]
        for email in emails:
            give(scenario, email, Frequency.ONCE)
        ada, grace = (supporter_of(container, email) for email in emails)
        results = run_together(
            lambda kept=ada, email=emails[1]: merge(container, kept, email),
            lambda kept=grace, email=emails[0]: merge(container, kept, email),
        )
        assert True in results
        assert all(result is True or isinstance(result, SupporterNotFound) for result in results), results


def test_links_of_two_supporters_to_each_other_may_be_opened_at_once(
    container: Container, scenario: StripeScenario
) -> None:
    for email in (ADA, GRACE):
        give(scenario, email, Frequency.ONCE)
    links = [
        link_to(container, supporter_of(container, ADA), GRACE),
        link_to(container, supporter_of(container, GRACE), ADA),
    ]

    app = create_app(container)

    def confirm(token: str) -> int:
        return app.test_client().post(f"/me/email/{token}").status_code

    results = run_together(*(lambda token=token: confirm(token) for token in links))
    assert sorted(results) == [303, 404], results


def test_erasure_that_is_requested_several_times_at_once_happens_once(
    container: Container, scenario: StripeScenario
) -> None:
    pledge_id = give(scenario, ADA)
    # Made before the threads: Python 3.11 may fail to compile in several of them at once (a SystemError).
    app = create_app(container)

    def request() -> tuple[int, str]:
        answer = erase(container, ADA, app)
        return answer.status_code, answer.json["status"]

    assert run_together(request, request, request) == [(200, ErasureStatus.COMPLETED)] * 3
    assert pledge_of(container, pledge_id).status == PledgeStatus.CANCELLED


def test_link_to_merge_with_a_supporter_who_is_being_erased_is_over(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    ada_pledge, grace_pledge = give(scenario, ADA), give(scenario, GRACE)
    token = link_to(container, supporter_of(container, ADA), GRACE)
    stripe.close()
    assert erase(container, ADA).status_code == 202
    assert client.post(f"/me/email/{token}").status_code == 404
    complete_erasure(container, stripe, clock)
    assert pledge_of(container, ada_pledge).status == PledgeStatus.CANCELLED
    assert pledge_of(container, grace_pledge).status == PledgeStatus.ACTIVE
    assert pledge_of(container, grace_pledge).supporter_id == supporter_of(container, GRACE)


def test_link_to_the_address_of_a_supporter_who_is_being_erased_is_over(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    give(scenario, ADA)
    grace_pledge = give(scenario, GRACE)
    token = link_to(container, supporter_of(container, GRACE), ADA)
    stripe.close()
    assert erase(container, ADA).status_code == 202
    assert client.post(f"/me/email/{token}").status_code == 404
    complete_erasure(container, stripe, clock)
    assert pledge_of(container, grace_pledge).status == PledgeStatus.ACTIVE


@pytest.mark.parametrize("merge_into", ["erased", "other"])
def test_staff_cannot_merge_with_a_supporter_who_is_being_erased(
    client: FlaskClient,
    container: Container,
    scenario: StripeScenario,
    stripe: FakeStripe,
    clock: FakeClock,
    merge_into: str,
) -> None:
    give(scenario, ADA)
    grace_pledge = give(scenario, GRACE)
    kept, email = (ADA, GRACE) if merge_into == "erased" else (GRACE, ADA)
    url = f"/v1/admin/supporters/{supporter_of(container, kept)}/email"
    stripe.close()
    assert erase(container, ADA).status_code == 202
    answer = client.post(url, json={"email": email, "merge": True}, headers=auth_headers(container, "manage"))
    assert_problem(answer, 409, "erasure_under_way")
    complete_erasure(container, stripe, clock)
    assert pledge_of(container, grace_pledge).status == PledgeStatus.ACTIVE


def complete_erasure(container: Container, stripe: FakeStripe, clock: FakeClock) -> None:
    stripe.open()
    clock.advance(minutes=5)
    assert erase_supporters(container, RUNNING)["completed"] == 1


def merge(container: Container, kept: uuid.UUID, email: str) -> bool:
    database = container.database
    changed = change_address(
        database.transaction, container.gateway, kept, email, merge=True, clock=container.clock
    )
    return changed.merged
