"""Changes to a pledge from the account pages: cancellation, amount and card."""

import datetime
import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from schemas.enums import EmailKind, Frequency, PledgeStatus, ReminderStatus
from service.container import Container
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.domain.errors import PaymentsUnavailable
from service.domain.ports import GatewayRejected, GatewayUnavailable
from tests.api.client import count, only_reminder, post_reminder
from tests.clock import FakeClock
from tests.pages.accounts import AccessPath, form_to, page, stored
from tests.pages.html import visible_text


def test_cancellation_takes_two_clicks(container: Container, client: FlaskClient, access_path: AccessPath) -> None:
    assert f'{access_path.base}/cancel?lang=en"' in page(client, access_path.home)
    confirmation = page(client, f"{access_path.base}/cancel")
    buttons = form_to(confirmation, "/cancel").buttons
    assert [(name, value) for name, value, _ in buttons] == [("then", "end"), ("then", "remind")]
    assert confirmation.count('class="quiet-button" name="then"') == 2
    assert stored(container, access_path.id).status == PledgeStatus.ACTIVE
    response = access_path.post("cancel", then="end")
    assert "Your support is cancelled." in visible_text(page(client, response.headers["Location"]))
    after = stored(container, access_path.id)
    assert (after.status, after.ended_at) == (PledgeStatus.CANCELLED, container.clock())
    assert count(container, Reminder) == 0
    with container.database.read_only() as session:
        notification = session.scalars(
            select(OutgoingEmail).where(OutgoingEmail.kind == EmailKind.CANCELLED)
        ).one()
        assert notification.dedup_key == access_path.id


def test_cancellation_page_offers_all_choices_alike(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    update(container, amount_minor=1000)
    html = page(client, f"{access_path.base}/cancel")
    choices = re.findall(r'<(button|a) class="([^"]*)"', html[html.index("<form") : html.index("</form>")])
    assert choices == [(tag, "quiet-button") for tag in ("button", "button", "a", "a", "a")]
    assert f'href="{access_path.home}?lang=en"' in html
    form = form_to(page(client, f"{access_path.base}/amount?to=less&lang=en"), "/amount")
    assert form.fields["preset"] == "700"


def test_smallest_support_is_not_offered_a_smaller_amount(client: FlaskClient, access_path: AccessPath) -> None:
    assert "/amount?to=less" not in page(client, f"{access_path.base}/cancel")


def test_double_cancellation_sends_one_notification(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    access_path.post("cancel", then="end")
    access_path.post("cancel", then="end")
    with container.database.read_only() as session:
        assert (
            len(session.scalars(select(OutgoingEmail).where(OutgoingEmail.kind == EmailKind.CANCELLED)).all()) == 1
        )


def test_cancellation_with_reminder(
    container: Container, client: FlaskClient, access_path: AccessPath, clock: FakeClock
) -> None:
    response = access_path.post("cancel", then="remind")
    assert "we’ll email you once, on February 23, 2027" in visible_text(page(client, response.headers["Location"]))
    assert stored(container, access_path.id).status == PledgeStatus.CANCELLED
    reminder = only_reminder(container)
    assert (reminder.status, str(reminder.due_on), reminder.amount_minor) == (
        ReminderStatus.SCHEDULED,
        "2027-02-23",
        200,
    )
    assert reminder.awaits_confirmation is False


def test_cancellation_moves_an_existing_reminder(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    # Anyone may have signed up the address. By our link, the reader's own choice counts.
    strangers = {"frequency": "once", "amount": 1500, "timezone": "Asia/Tokyo", "lang": "ru"}
    post_reminder(client, email="reader@example.org", **strangers)
    access_path.post("cancel", then="remind")
    reminder = only_reminder(container)
    assert str(reminder.due_on) == "2027-02-23"
    assert (reminder.frequency, reminder.amount_minor, reminder.timezone, reminder.lang) == (
        Frequency.MONTHLY,
        200,
        "UTC",
        "en",
    )


def test_cancellation_without_reminders_has_one_button(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    with container.database.transaction() as session:
        session.scalars(select(Campaign)).one().reminder_enabled = False
    assert len(form_to(page(client, f"{access_path.base}/cancel"), "/cancel").buttons) == 1
    access_path.post("cancel", then="remind")
    assert count(container, Reminder) == 0


def test_get_requests_do_not_change_the_pledge(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    for path in (access_path.home, f"{access_path.base}/cancel", f"{access_path.base}/amount"):
        page(client, path)
    assert stored(container, access_path.id).status == PledgeStatus.ACTIVE
    assert client.get(f"{access_path.base}/card").status_code == 405


def test_cross_site_requests_are_rejected(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    for action in ("cancel", "amount", "card"):
        assert (
            client.post(f"{access_path.base}/{action}", data={"amount": "5"}, headers=headers).status_code == 403
        )
    assert stored(container, access_path.id).status == PledgeStatus.ACTIVE


@pytest.mark.parametrize(("typed", "amount_minor"), [("5", 500), ("7.50", 750), ("$1000", 100000)])
def test_amount_is_changed(
    container: Container, client: FlaskClient, access_path: AccessPath, typed: str, amount_minor: int
) -> None:
    response = access_path.post("amount", amount=typed)
    assert "The new amount is set." in visible_text(page(client, response.headers["Location"]))
    after = stored(container, access_path.id)
    assert (after.amount_minor, after.pending_amount_minor) == (amount_minor, None)
    with container.database.read_only() as session:
        assert session.scalars(select(Payment.amount_minor)).all() == [200]


def test_amount_form_shows_the_present_amount_and_the_next_payment(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    html = page(client, f"{access_path.base}/amount")
    form = form_to(html, "/amount")
    assert (form.fields["preset"], form.fields["amount"]) == ("200", "")
    assert re.findall(r'name="preset" value="(\d+)"', html) == ["200", "700", "1500"]
    # The sandbox reports no renewal: it is a month after the support began.
    assert "from your next payment, on December 23, 2026" in visible_text(html)
    update(container, amount_minor=900, fees_minor=45, renews_at=container.clock() + datetime.timedelta(days=30))
    with container.database.transaction() as session:
        session.scalars(select(Campaign)).one().cover_fees = {"USD": {"basis_points": 500, "fixed": 0}}
    html = page(client, f"{access_path.base}/amount")
    # An amount that is no preset is a choice too.
    assert re.findall(r'name="preset" value="(\d+)"', html) == ["200", "700", "900", "1500"]
    assert form_to(html, "/amount").fields["preset"] == "900"
    shown = visible_text(html)
    assert "from your next payment, on December 23, 2026" in shown
    assert "Next payment: $15.79 on December 23, 2026" in shown


@pytest.mark.parametrize(
    ("fields", "amount_minor"),
    [
        ({"preset": "700", "amount": ""}, 700),
        ({"preset": "700", "amount": "8.50"}, 850),
        ({"preset": "1500"}, 1500),
    ],
)
def test_typed_amount_counts_instead_of_a_preset(
    container: Container, access_path: AccessPath, fields: dict[str, str], amount_minor: int
) -> None:
    access_path.post("amount", **fields)
    assert stored(container, access_path.id).amount_minor == amount_minor


def cover_fees(container: Container) -> None:
    """Let the reader cover fees of 5%."""
    update(container, fees_minor=11)
    with container.database.transaction() as session:
        session.scalars(select(Campaign)).one().cover_fees = {"USD": {"basis_points": 500, "fixed": 0}}


def test_typed_amount_with_fees_is_charged_once_its_sum_was_shown(
    container: Container, access_path: AccessPath
) -> None:
    cover_fees(container)
    html = access_path.post("amount", 200, preset="200", amount="8.50").text
    shown = visible_text(html).replace("\N{NO-BREAK SPACE}", " ")
    assert "With the fees you cover, we’ll charge $8.95." in shown
    assert "Next payment: $8.95 on December 23, 2026" in shown
    assert stored(container, access_path.id).amount_minor == 200
    form = form_to(html, "/amount")
    assert (form.fields["preset"], form.fields["amount"]) == ("850", "")
    access_path.post("amount", **form.fields)
    pledge = stored(container, access_path.id)
    assert (pledge.amount_minor, pledge.fees_minor) == (850, 45)


def test_typed_amount_is_charged_at_once_where_the_campaign_adds_no_fees_any_more(
    container: Container, access_path: AccessPath
) -> None:
    update(container, fees_minor=11)
    access_path.post("amount", amount="8.50")
    assert stored(container, access_path.id).amount_minor == 850


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"amount": "0.10"}, 422, "Enter between"),
        ({"amount": "8,50"}, 422, "There is a problem"),
        ({"amount": "8.50", "frequency": "annual"}, 409, "Your payments have changed since"),
    ],
)
def test_typed_amount_with_fees_is_checked_before_its_sum_is_shown(
    container: Container, access_path: AccessPath, fields: dict[str, str], status: int, words: str
) -> None:
    cover_fees(container)
    shown = visible_text(access_path.post("amount", status, **fields).text)
    assert words in shown
    assert "With the fees you cover" not in shown
    assert stored(container, access_path.id).amount_minor == 200


@pytest.mark.parametrize("preset", ["1", "0", "-200", "2.00", "²", "9" * 30])
def test_forged_preset_is_refused(container: Container, access_path: AccessPath, preset: str) -> None:
    assert 'aria-invalid="true"' in access_path.post("amount", 422, preset=preset, amount="").text
    assert stored(container, access_path.id).amount_minor == 200


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "Enter the new amount."),
        ("1.99", "Enter between $2 and"),
        ("99999999", "Enter between $2 and"),
        ("1.000", "Enter at most 2 decimals, such as 7.50."),
        ("five", "Enter an amount, such as 7.50."),
        ("-5", "Enter an amount, such as 7.50."),
    ],
)
def test_invalid_amount_shows_error_beside_its_field(
    container: Container, client: FlaskClient, access_path: AccessPath, typed: str, message: str
) -> None:
    response = access_path.post("amount", 422, amount=typed)
    assert message in visible_text(response.text)
    assert 'aria-invalid="true"' in response.text
    pledge = stored(container, access_path.id)
    assert (pledge.amount_minor, pledge.pending_amount_minor) == (200, None)


def test_cancelled_pledge_cannot_be_changed(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    access_path.post("cancel", then="end")
    assert "This support is no longer active" in visible_text(access_path.post("amount", 409, amount="5").text)
    assert client.get(f"{access_path.base}/amount").status_code == 303
    html = page(client, access_path.home)
    assert f"{access_path.base}/card" not in html
    assert "Support us again" in visible_text(html)


def test_sandbox_pledge_has_no_card(access_path: AccessPath) -> None:
    assert "There’s no card to update" in visible_text(access_path.post("card", 409).text)


def test_card_update_redirects_to_the_gateway(
    container: Container, access_path: AccessPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def create_session(_customer: str, _subscriptions: list[str], *, return_url: str, lang: str) -> str:
        calls.append((return_url, lang))
        return "https://billing.example/session"

    monkeypatch.setattr(container.gateway, "create_payment_method_session", create_session)
    monkeypatch.setattr(container.gateway, "hosted_origins", ("https://billing.example",))
    assert access_path.post("card").headers["Location"] == "https://billing.example/session"
    assert calls == [(f"http://desk.test{access_path.home}", "en")]


def test_cancellation_is_stored_while_the_gateway_is_unavailable(
    container: Container, client: FlaskClient, access_path: AccessPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: object, **__: object) -> None:
        raise GatewayUnavailable

    monkeypatch.setattr(container.gateway, "cancel_subscription", unavailable)
    response = access_path.post("cancel", then="end")
    html = page(client, response.headers["Location"])
    assert "Cancelling" in visible_text(html)
    assert f"{access_path.base}/cancel" not in html
    assert stored(container, access_path.id).cancel_requested_at == container.clock()
    assert access_path.post("amount", amount="5").headers["Location"].partition("?")[0] == access_path.home
    assert stored(container, access_path.id).amount_minor == 200
    monkeypatch.undo()
    access_path.post("cancel", then="end")
    assert stored(container, access_path.id).status == PledgeStatus.CANCELLED


def test_cancellation_rejected_by_the_gateway_can_be_retried(
    container: Container, client: FlaskClient, access_path: AccessPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container.gateway, "cancel_subscription", failing(GatewayRejected("x")))
    assert "Our payment provider couldn’t do that" in visible_text(
        access_path.post("cancel", 409, then="end").text
    )
    assert stored(container, access_path.id).cancel_requested_at is None
    assert f"{access_path.base}/cancel" in page(client, access_path.home)


def update(container: Container, **values: object) -> None:
    """Set columns of the only pledge."""
    with container.database.transaction() as session:
        pledge = session.scalars(select(Pledge)).one()
        for name, value in values.items():
            setattr(pledge, name, value)


def failing(error: Exception) -> Callable[..., None]:
    """Return a function that raises `error`."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_amount_rejected_by_the_gateway_keeps_the_old_amount(
    container: Container, access_path: AccessPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container.gateway, "update_subscription_amount", failing(GatewayRejected("x")))
    assert "Our payment provider couldn’t do that" in visible_text(
        access_path.post("amount", 409, amount="5").text
    )
    pledge = stored(container, access_path.id)
    assert (pledge.amount_minor, pledge.pending_amount_minor) == (200, None)


def test_amount_change_is_stored_while_the_gateway_is_unavailable(
    container: Container, client: FlaskClient, access_path: AccessPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container.gateway, "update_subscription_amount", failing(GatewayUnavailable("x")))
    html = page(client, access_path.post("amount", amount="5").headers["Location"])
    assert "The new amount is set." not in visible_text(html)
    assert "$5" in visible_text(html)
    pledge = stored(container, access_path.id)
    assert (pledge.amount_minor, pledge.pending_amount_minor) == (200, 500)


def test_amount_change_that_is_not_stored_shows_an_error(
    container: Container, access_path: AccessPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = PaymentsUnavailable("x", retry_after_seconds=30)
    monkeypatch.setattr("service.domain.pledges.subscriptions.subscription_reference", failing(unknown))
    response = access_path.post("amount", 503, amount="5")
    assert "Our payment provider isn’t responding" in visible_text(response.text)
    assert stored(container, access_path.id).pending_amount_minor is None
