"""Switching between monthly and annual support on the account pages, in the sandbox."""

import datetime
import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from schemas.enums import Frequency, PledgeStatus
from service.container import Container
from service.db.models.campaign import Campaign
from service.domain.ports import GatewayRejected, GatewayUnavailable
from tests.pages.accounts import AccessPath, form_to, page, stored
from tests.pages.html import visible_text
from tests.pages.test_account_pledges import cover_fees, failing, update


def submit(client: FlaskClient, access_path: AccessPath, *, status: int = 303, **changes: str) -> TestResponse:
    form = form_to(page(client, f"{access_path.base}/frequency"), "/frequency")
    return access_path.post("frequency", status, **form.fields | changes)


def test_page_says_when_and_how_much_before_anything_changes(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    assert "Give once a year instead" in visible_text(page(client, access_path.home))
    html = page(client, f"{access_path.base}/frequency")
    text = visible_text(html)
    assert "Nothing is charged or refunded today." in text
    assert "Your next payment is $24 on December 23, 2026, then every year." in text
    # The presets of the other frequency, and as much as before over a year.
    assert re.findall(r'name="preset" value="(\d+)"', html)[0] == "2400"
    assert form_to(html, "/frequency").fields["preset"] == "2400"
    assert stored(container, access_path.id).frequency == Frequency.MONTHLY


def test_switch_and_back_keep_the_day_of_the_next_payment(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    response = submit(client, access_path)
    home = visible_text(page(client, response.headers["Location"]))
    assert "Your support has changed." in home
    assert "$24 a year" in home
    assert "Next payment: $24 on December 23, 2026" in home
    response = submit(client, access_path, amount="3.50")
    home = visible_text(page(client, response.headers["Location"]))
    assert "Next payment: $3.50 on December 23, 2026" in home
    pledge = stored(container, access_path.id)
    assert (pledge.frequency, pledge.amount_minor, pledge.pending_frequency) == (Frequency.MONTHLY, 350, None)


def test_typed_annual_amount_with_fees_is_charged_once_its_sum_was_shown(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    cover_fees(container)
    html = submit(client, access_path, status=200, amount="30").text
    assert "With the fees you cover, we’ll charge $31.58." in visible_text(html)
    assert stored(container, access_path.id).frequency == Frequency.MONTHLY
    access_path.post("frequency", **form_to(html, "/frequency").fields)
    pledge = stored(container, access_path.id)
    assert (pledge.frequency, pledge.amount_minor, pledge.fees_minor) == (Frequency.ANNUAL, 3000, 158)


def test_second_click_does_not_switch_back(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    form = form_to(page(client, f"{access_path.base}/frequency"), "/frequency")
    for _ in range(2):
        access_path.post("frequency", **form.fields)
    assert stored(container, access_path.id).frequency == Frequency.ANNUAL


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"amount": "0.10"}, 422, "Enter between"),
        ({"amount": "a lot"}, 422, "There is a problem"),
        ({"preset": "", "amount": ""}, 422, "Enter the new amount."),
        ({"next": "2026-12-01T00:00:00+00:00"}, 409, "Your payments have changed since"),
        ({"next": "soon"}, 422, "There is a problem"),
    ],
)
def test_unusable_form_changes_nothing(
    container: Container,
    client: FlaskClient,
    access_path: AccessPath,
    changes: dict[str, str],
    status: int,
    words: str,
) -> None:
    response = submit(client, access_path, status=status, **changes)
    assert words in visible_text(response.text)
    assert stored(container, access_path.id).frequency == Frequency.MONTHLY


def test_form_of_a_pledge_that_ended_meanwhile_changes_nothing(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    form = form_to(page(client, f"{access_path.base}/frequency"), "/frequency")
    access_path.post("cancel", then="end")
    access_path.post("frequency", **form.fields)
    pledge = stored(container, access_path.id)
    assert (pledge.status, pledge.frequency) == (PledgeStatus.CANCELLED, Frequency.MONTHLY)


def test_paused_or_past_due_support_says_why_it_cannot_be_switched(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    pause = form_to(page(client, f"{access_path.base}/pause"), "/pause")
    access_path.post("pause", **pause.fields)
    assert "End the pause first" in visible_text(page(client, f"{access_path.base}/frequency"))
    assert "/frequency" not in page(client, access_path.home)
    access_path.post("resume")
    update(container, status=PledgeStatus.PAST_DUE)
    assert "Your last payment failed." in visible_text(page(client, f"{access_path.base}/frequency"))


def test_payment_in_more_than_two_years_says_why_it_cannot_be_switched(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    """A trial at Stripe, by which a switch puts off the first payment, is no longer than that."""
    update(container, renews_at=container.clock() + datetime.timedelta(days=731))
    assert "Give once a year instead" not in visible_text(page(client, access_path.home))
    text = visible_text(page(client, f"{access_path.base}/frequency"))
    assert "Your next payment is more than two years away." in text


def test_frequency_that_the_campaign_does_not_take_is_not_offered(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    with container.database.transaction() as session:
        campaign = session.scalars(select(Campaign)).one()
        campaign.pledge_options = [
            option for option in campaign.pledge_options if option.frequency != Frequency.ANNUAL
        ]
    assert "/frequency" not in page(client, access_path.home)
    text = visible_text(page(client, f"{access_path.base}/frequency", 422))
    assert "We don’t offer this kind of support any more" in text


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (GatewayRejected("x"), 409, "Nothing was changed."),
        (GatewayUnavailable("x"), 303, "finish it shortly"),
    ],
)
def test_gateway_that_refuses_or_is_away(
    container: Container,
    client: FlaskClient,
    access_path: AccessPath,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    words: str,
) -> None:
    monkeypatch.setattr(container.gateway, "update_subscription_amount", failing(error))
    response = submit(client, access_path, status=status)
    shown = response.text if status == 409 else page(client, response.headers["Location"])
    assert words in visible_text(shown)
    assert stored(container, access_path.id).frequency == Frequency.MONTHLY


def test_amount_of_the_former_frequency_is_not_charged_in_the_other(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    """The form for a new amount is open in another tab while the frequency changes."""
    submit(client, access_path)
    stale = form_to(page(client, f"{access_path.base}/amount"), "/amount")
    submit(client, access_path, amount="3.50")
    response = access_path.post("amount", 409, **stale.fields | {"amount": "60"})
    text = visible_text(response.text)
    assert "Your payments have changed since" in text
    assert stored(container, access_path.id).amount_minor == 350
    form = form_to(response.text, "/amount")
    assert (form.fields["frequency"], form.fields["amount"]) == ("monthly", "")
    access_path.post("amount", **form.fields | {"amount": "4"})
    assert stored(container, access_path.id).amount_minor == 400


def test_pause_of_the_former_frequency_skips_no_year(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    stale = form_to(page(client, f"{access_path.base}/pause"), "/pause")
    submit(client, access_path)
    response = access_path.post("pause", 409, **stale.fields)
    assert "Your payments have changed since" in visible_text(response.text)
    assert stored(container, access_path.id).is_paused is False
    access_path.post("pause", **form_to(response.text, "/pause").fields)
    assert stored(container, access_path.id).is_paused is True


def test_amount_cannot_be_changed_while_a_switch_is_under_way(
    container: Container, client: FlaskClient, access_path: AccessPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its amounts would be those of the frequency that is about to end."""
    stale = form_to(page(client, f"{access_path.base}/amount"), "/amount")
    monkeypatch.setattr(container.gateway, "update_subscription_amount", failing(GatewayUnavailable("no answer")))
    submit(client, access_path)
    assert stored(container, access_path.id).pending_frequency == Frequency.ANNUAL
    assert client.get(f"{access_path.base}/amount").status_code == 303
    for fields in (stale.fields, {"amount": "7"}):
        access_path.post("amount", 303, **fields)
    assert stored(container, access_path.id).pending_amount_minor == 2400
