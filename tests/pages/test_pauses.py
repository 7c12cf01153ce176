"""Pausing support and ending the pause on the account pages, in the sandbox."""

import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from schemas.enums import EmailKind, Frequency, PledgeStatus
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.pledge import Pledge
from service.domain.ports import GatewayRejected, GatewayUnavailable
from tests.clock import FakeClock
from tests.pages.accounts import AccessPath, form_to, page, stored
from tests.pages.html import visible_text
from tests.pages.test_account_pledges import failing, update


def submit(
    client: FlaskClient, access_path: AccessPath, payments: str = "1", *, status: int = 303, **changes: str
) -> TestResponse:
    form = form_to(page(client, f"{access_path.base}/pause"), "/pause")
    return access_path.post("pause", status, **form.fields | {"payments": payments} | changes)


def emails(container: Container, kind: EmailKind) -> int:
    with container.database.read_only() as session:
        return len(session.scalars(select(OutgoingEmail).where(OutgoingEmail.kind == kind)).all())


def test_page_says_what_is_skipped_and_when_the_next_payment_is(
    client: FlaskClient, access_path: AccessPath
) -> None:
    assert f'{access_path.base}/pause?lang=en"' in page(client, access_path.home)
    text = visible_text(page(client, f"{access_path.base}/pause"))
    assert "No payment on December 23, 2026. Your next payment is $2 on January 23, 2027." in text
    assert "No payments from December 23, 2026. Your next payment is $2 on June 23, 2027." in text
    form = form_to(page(client, f"{access_path.base}/pause"), "/pause")
    assert form.fields["payments"] == "1"


def test_skipping_one_payment_and_ending_the_pause(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    response = submit(client, access_path)
    home = visible_text(page(client, response.headers["Location"]))
    assert "Your support is paused." in home
    assert "Paused until January 23, 2027. You won’t be charged before then." in home
    assert "Next payment: $2 on January 23, 2027" in home
    assert "Paused giving since November 23, 2026" in home
    pledge = stored(container, access_path.id)
    assert (pledge.status, pledge.is_paused, pledge.pause_requested_at) == (PledgeStatus.ACTIVE, True, None)
    assert emails(container, EmailKind.PAUSED) == 1
    confirmation = visible_text(page(client, f"{access_path.base}/resume"))
    assert "Your next payment will be $2 on December 23, 2026. Nothing is charged today." in confirmation
    response = access_path.post("resume")
    home = visible_text(page(client, response.headers["Location"]))
    assert "The pause has ended." in home
    assert "Next payment: $2 on December 23, 2026" in home
    assert stored(container, access_path.id).is_paused is False


def test_double_click_sends_one_email(container: Container, client: FlaskClient, access_path: AccessPath) -> None:
    form = form_to(page(client, f"{access_path.base}/pause"), "/pause")
    for _ in range(2):
        assert access_path.post("pause", **form.fields).status_code == 303
    assert emails(container, EmailKind.PAUSED) == 1
    for _ in range(2):
        assert access_path.post("resume").status_code == 303


def test_paused_support_can_be_paused_for_longer(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    submit(client, access_path, "2")
    assert "/pause?lang=en" in page(client, f"{access_path.base}/resume?lang=en")
    form = form_to(page(client, f"{access_path.base}/pause"), "/pause")
    assert form.fields["payments"] == "2"
    response = submit(client, access_path, "5")
    assert "Paused until May 23, 2027" in visible_text(page(client, response.headers["Location"]))


def test_pause_is_over_on_its_day(
    container: Container, client: FlaskClient, pledge_link: AccessPath, clock: FakeClock
) -> None:
    submit(client, pledge_link)
    clock.now = datetime.datetime(2027, 1, 24, 12, tzinfo=datetime.UTC)
    home = visible_text(page(client, pledge_link.home))
    assert "Paused" not in home
    assert "Next payment: $2 on February 23, 2027" in home


def test_annual_support_skips_one_payment(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    update(container, frequency=Frequency.ANNUAL)
    html = page(client, f"{access_path.base}/pause")
    assert html.count('name="payments"') == 1
    assert "No payment on November 23, 2027. Your next payment is $2 on November 23, 2028." in visible_text(html)


@pytest.mark.parametrize("payments", ["0", "7", "many", ""])
def test_unknown_choice_is_refused(
    container: Container, client: FlaskClient, access_path: AccessPath, payments: str
) -> None:
    response = submit(client, access_path, payments, status=422)
    assert "Choose how long to pause." in visible_text(response.text)
    assert stored(container, access_path.id).is_paused is False


def test_form_for_a_payment_on_another_day_is_shown_again(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    response = submit(client, access_path, status=409, **{"from": "2026-11-30T09:30:00+00:00"})
    assert "Your payments have changed since" in visible_text(response.text)
    assert stored(container, access_path.id).is_paused is False


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_form_of_a_pledge_that_ended_meanwhile_changes_nothing(
    container: Container, client: FlaskClient, access_path: AccessPath, action: str
) -> None:
    form = form_to(page(client, f"{access_path.base}/pause"), "/pause")
    access_path.post("cancel", then="end")
    assert access_path.post(action, **form.fields).status_code == 303
    pledge = stored(container, access_path.id)
    assert (pledge.status, pledge.is_paused) == (PledgeStatus.CANCELLED, False)
    for path in ("pause", "resume"):
        assert client.get(f"{access_path.base}/{path}").status_code == 303


def test_past_due_support_says_why_it_cannot_be_paused(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    update(container, status=PledgeStatus.PAST_DUE)
    assert "Once it’s paid, you can make this change." in visible_text(page(client, f"{access_path.base}/pause"))
    access_path.post("pause", 409, payments="1", **{"from": "2026-12-23T09:30:00+00:00"})
    assert f"{access_path.base}/pause" not in page(client, f"{access_path.base}/cancel")


def test_cancel_page_offers_a_pause_once(client: FlaskClient, access_path: AccessPath) -> None:
    html = page(client, f"{access_path.base}/cancel")
    assert html.count(f'href="{access_path.base}/pause?lang=en"') == 1


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (GatewayRejected("x"), 409, "Nothing was changed."),
        (GatewayUnavailable("x"), 303, "finish it shortly"),
    ],
)
@pytest.mark.parametrize("action", ["pause", "resume"])
def test_gateway_that_refuses_or_is_away(
    container: Container,
    client: FlaskClient,
    access_path: AccessPath,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    words: str,
    action: str,
) -> None:
    if action == "resume":
        submit(client, access_path)
    monkeypatch.setattr(container.gateway, "set_pause", failing(error))
    if action == "pause":
        response = submit(client, access_path, status=status)
    else:
        response = access_path.post("resume", status)
    shown = response.text if status == 409 else page(client, response.headers["Location"])
    assert words in visible_text(shown)
    assert stored(container, access_path.id).is_paused is (action == "resume")


def test_get_requests_change_nothing(container: Container, client: FlaskClient, access_path: AccessPath) -> None:
    page(client, f"{access_path.base}/pause")
    client.get(f"{access_path.base}/resume")
    with container.database.read_only() as session:
        assert session.scalars(select(Pledge.pause_requested_at)).all() == [None]
