"""The thank-you page in every status of a pledge."""

import datetime
import re
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from schemas.enums import PledgeStatus, SuppressionReason
from schemas.translations import load_texts
from service.container import Container
from service.domain.email.suppression import suppress
from service.domain.pledges.links import return_token
from service.domain.pledges.pledges import get_pledge
from service.domain.reminders.after_payment import skip_waiting_reminders
from tests.api.client import pay_pledge, post_pledge, post_reminder, reminder_token_for, update_campaign
from tests.clock import FakeClock
from tests.jobs import notifications
from tests.jobs.fake_mailer import FakeMailer
from tests.pages.html import BROWSER, parse_forms, visible_text


def thanks(client: FlaskClient, pledge_id: str, slug: str = "default", **headers: str) -> str:
    response = client.get(f"/support/{slug}/thank-you?pledge={pledge_id}", headers=headers)
    assert response.status_code == 200
    return response.text


def create_pledge(client: FlaskClient, **changes: Any) -> str:
    return str(post_pledge(client, **changes).json["id"])


def set_status(container: Container, pledge_id: str, status: PledgeStatus) -> None:
    with container.database.transaction() as session:
        get_pledge(session, uuid.UUID(pledge_id)).status = status


@pytest.mark.parametrize(
    ("frequency", "amount", "sentence"),
    [
        ("once", 750, "You’ve given The Harbour Lantern $7.50."),
        ("monthly", 200, "You’re now giving The Harbour Lantern $2 a month."),
        ("annual", 100000, "You’re now giving The Harbour Lantern $1,000 a year."),
    ],
)
def test_page_shows_amount_and_frequency(
    container: Container, client: FlaskClient, frequency: str, amount: int, sentence: str
) -> None:
    pledge_id = create_pledge(client, frequency=frequency, amount=amount)
    pay_pledge(container, pledge_id)
    page = visible_text(thanks(client, pledge_id))
    assert sentence in page
    assert "Thank you" in page


def test_sandbox_payment_has_a_test_notice(container: Container, client: FlaskClient) -> None:
    pledge_id = create_pledge(client)
    pay_pledge(container, pledge_id)
    assert "This was a test: no card was used and no money has moved." in visible_text(thanks(client, pledge_id))


def test_page_links_back_only_to_listed_hosts(container: Container, client: FlaskClient) -> None:
    update_campaign(container, return_hosts=["paper.example"])
    listed = create_pledge(client, page_url="https://paper.example/story")
    unlisted = create_pledge(client, page_url="https://elsewhere.example/story")
    for pledge_id in (listed, unlisted):
        pay_pledge(container, pledge_id)
    assert 'href="https://paper.example/story"' in thanks(client, listed)
    assert "elsewhere.example" not in thanks(client, unlisted)


def test_page_links_back_to_the_newsrooms_own_support_page(container: Container, client: FlaskClient) -> None:
    update_campaign(container, support_url="https://paper.example/support")
    pledge_id, forged = (
        create_pledge(client, page_url=f"https://{host}/story") for host in ("paper.example", "evil.example")
    )
    for each in (pledge_id, forged):
        pay_pledge(container, each)
    assert 'href="https://paper.example/story"' in thanks(client, pledge_id)
    assert "evil.example" not in thanks(client, forged)


def test_pending_pledge_never_shows_its_checkout(client: FlaskClient) -> None:
    pledge = post_pledge(client).json
    page = thanks(client, pledge["id"])
    assert "We’re waiting for your payment" in visible_text(page)
    assert "Thank you" not in visible_text(page)
    # Whoever has the id, for example from an address bar, may not open a checkout of someone else.
    assert pledge["checkout_url"] not in page
    assert "/checkout/" not in page
    assert 'href="http://desk.test/support/default?frequency=monthly&amp;amount=200"' in page


def test_expired_pledge_offers_the_same_choice(container: Container, client: FlaskClient) -> None:
    pledge_id = create_pledge(client, frequency="annual", amount=5000)
    set_status(container, pledge_id, PledgeStatus.EXPIRED)
    page = thanks(client, pledge_id)
    assert "You haven’t been charged" in visible_text(page)
    assert "/support/default?frequency=annual&amp;amount=5000" in page


@pytest.mark.parametrize("status", PledgeStatus)
@pytest.mark.parametrize("lang", ["en", "ru"])
def test_every_status_has_texts_in_every_language(
    container: Container, client: FlaskClient, status: PledgeStatus, lang: str
) -> None:
    pledge_id = create_pledge(client, lang=lang)
    set_status(container, pledge_id, status)
    assert f'<html lang="{lang}"' in thanks(client, pledge_id, **{"Accept-Language": "de"})


@pytest.mark.parametrize("pledge_id", ["", "1", "00000000-0000-0000-0000-000000000000", "x&pledge=1"])
def test_unknown_pledge_is_not_found(client: FlaskClient, pledge_id: str) -> None:
    response = client.get(f"/support/default/thank-you?pledge={pledge_id}", headers=BROWSER)
    assert response.status_code == 404
    assert "Donation not found" in visible_text(response.text)


def test_pledge_of_another_campaign_is_not_found(container: Container, client: FlaskClient) -> None:
    update_campaign(container, slug="winter")
    assert client.get(f"/support/winter/thank-you?pledge={create_pledge(client)}").status_code == 404


def test_page_hides_the_address_from_who_only_knows_the_pledge(container: Container, client: FlaskClient) -> None:
    pledge_id, other = create_pledge(client), create_pledge(client)
    pay_pledge(container, pledge_id, email="reader@example.org")
    forged = return_token(container.database.keyring, uuid.UUID(other))
    for link in ("", "&link=nonsense", f"&link={forged}"):
        page = thanks(client, f"{pledge_id}{link}")
        assert "example.org" not in page
        assert "receipt" not in visible_text(page)


def paid(
    container: Container, client: FlaskClient, email: str | None = "reader@example.org", **changes: Any
) -> str:
    """Return the query value of a paid pledge's thank-you page, as in the browser that paid."""
    pledge_id = create_pledge(client, **changes)
    pay_pledge(container, pledge_id, email=email)
    return f"{pledge_id}&link={return_token(container.database.keyring, uuid.UUID(pledge_id))}"


def test_payer_sees_where_the_receipt_goes(container: Container, client: FlaskClient) -> None:
    query = paid(container, client)
    assert "We’re sending your receipt to r…@example.org ." in visible_text(thanks(client, query))
    notifications.run(container, FakeMailer())
    page = thanks(client, query)
    assert "Receipt sent to r…@example.org ." in visible_text(page)
    assert "reader" not in page


def test_link_to_the_receipts_address_expires(container: Container, client: FlaskClient, clock: FakeClock) -> None:
    query = paid(container, client)
    # Ids are of the real clock.
    clock.now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)
    assert "example.org" not in thanks(client, query)


def test_payer_without_an_address_or_with_a_suppressed_one_is_promised_nothing(
    container: Container, client: FlaskClient
) -> None:
    assert "receipt" not in visible_text(thanks(client, paid(container, client, email=None)))
    query = paid(container, client, email="bounced@example.org")
    with container.database.transaction() as session:
        suppress(session, "bounced@example.org", reason=SuppressionReason.HARD_BOUNCE, now=container.clock())
    assert "example.org" not in thanks(client, query)
    notifications.run(container, FakeMailer())
    assert "example.org" not in thanks(client, query)


@pytest.mark.parametrize(
    ("frequency", "day"), [("monthly", "December 23, 2026"), ("annual", "November 23, 2027"), ("once", None)]
)
def test_page_says_when_the_next_payment_is(
    container: Container, client: FlaskClient, frequency: str, day: str | None
) -> None:
    page = visible_text(thanks(client, paid(container, client, frequency=frequency, amount=5000)))
    assert (day in page) if day else ("ext payment" not in page)


def test_reported_renewal_comes_before_the_expected_one(container: Container, client: FlaskClient) -> None:
    query = paid(container, client, frequency="monthly", amount=700)
    with container.database.transaction() as session:
        pledge = get_pledge(session, uuid.UUID(query.partition("&")[0]))
        pledge.renews_at = datetime.datetime(2027, 2, 3, tzinfo=datetime.UTC)
    assert "February 3, 2027" in visible_text(thanks(client, query))


def test_page_leads_to_the_account_and_names_what_to_share(container: Container, client: FlaskClient) -> None:
    update_campaign(
        container,
        return_hosts=["paper.example"],
        newsletter_url="https://paper.example/letters",
        name="The Tide & Co",
    )
    page = thanks(client, paid(container, client, page_url="https://paper.example/story?a=1&b=2"))
    assert '<a class="quiet-button" href="/me?lang=en">Manage your support</a>' in page
    assert 'data-share="https://paper.example/story?a=1&amp;b=2"' in page
    assert 'data-copy="https://paper.example/story?a=1&amp;b=2"' in page
    assert 'href="https://paper.example/letters"' in page
    assert "mailto:?subject=The%20Tide%20%26%20Co&amp;body=" in page
    assert "https%3A//paper.example/story%3Fa%3D1%26b%3D2" in page
    # Scripts show these buttons where they can work.
    assert page.count("hidden data-") == 2


def test_page_without_an_article_shares_the_support_page(container: Container, client: FlaskClient) -> None:
    page = thanks(client, paid(container, client, page_url="https://elsewhere.example/story"))
    assert 'data-copy="http://desk.test/support/default"' in page
    assert "Back to" not in visible_text(page)
    assert "newsletter" not in visible_text(page)


@pytest.mark.parametrize(
    ("once", "monthly"), [(5000, "$15"), (1500, "$15"), (700, "$7"), (699, "$2"), (200, "$2")]
)
def test_reader_who_gave_once_may_make_it_monthly(
    container: Container, client: FlaskClient, once: int, monthly: str
) -> None:
    pledge_id = create_pledge(client, frequency="once", amount=once)
    pay_pledge(container, pledge_id)
    page = thanks(client, pledge_id)
    assert "Make it monthly?" in visible_text(page)
    [form] = parse_forms(page)
    assert f"Give {monthly} a month" in visible_text(page)
    assert "The first payment is today" in visible_text(page)
    first, again = (client.post(form.action, data=form.fields) for _ in range(2))
    assert first.status_code == 303
    assert first.headers["Location"] == again.headers["Location"]
    # Nothing is paid before the reader pays there.
    assert f"Pay {monthly} a month" in visible_text(client.get(first.headers["Location"]).text)


def test_nobody_else_is_offered_to_give_monthly(container: Container, client: FlaskClient) -> None:
    update_campaign(container, frequencies=[{"frequency": "once"}], default_frequency="once")
    assert "monthly?" not in thanks(client, paid(container, client, frequency="once", amount=700))
    unpaid = create_pledge(client, frequency="once", amount=700)
    response = client.post(f"/support/default/thank-you/monthly?pledge={unpaid}")
    assert response.status_code == 303
    assert response.headers["Location"] == "http://desk.test/support/default?frequency=monthly"
    assert client.post("/support/default/thank-you/monthly?pledge=1", headers=BROWSER).status_code == 404


def test_monthly_supporter_is_not_asked_to_make_it_monthly(container: Container, client: FlaskClient) -> None:
    assert "monthly?" not in thanks(client, paid(container, client, frequency="monthly", amount=700))


def take_real_money(container: Container, query: str) -> None:
    """Make a pledge of the sandbox one that was paid at Stripe, and report its payment again."""
    with container.database.transaction() as session:
        pledge = get_pledge(session, uuid.UUID(query.partition("&")[0]))
        pledge.gateway = "stripe"
        skip_waiting_reminders(session, pledge, paid_at=container.clock(), now=container.clock())


def test_giving_ends_the_readers_reminder(container: Container, client: FlaskClient) -> None:
    post_reminder(client, email="reader@example.org")
    query = paid(container, client)
    assert "We’ll cancel any reminder you’ve set." in visible_text(thanks(client, query))
    take_real_money(container, query)
    page = visible_text(thanks(client, query))
    # Whether an address has a reminder is for its owner only.
    assert "We’ve cancelled any reminder you’d set." in page
    assert "We’ve cancelled your reminder." not in page
    reminder = client.get(f"/r/{reminder_token_for(container, 'reader@example.org')}?lang=en")
    assert load_texts("pages", "en")["reminder_skipped_title"] in visible_text(reminder.text)


def test_giving_by_a_reminders_link_names_the_reminder(container: Container, client: FlaskClient) -> None:
    post_reminder(client, email="reader@example.org")
    reminder = client.get(f"/r/{reminder_token_for(container, 'reader@example.org')}").text
    token = re.search(r"from=([A-Za-z0-9_.-]+)", reminder)
    assert token is not None
    query = paid(container, client, reminder=token[1])
    take_real_money(container, query)
    page = visible_text(thanks(client, query.partition("&")[0]))
    assert "We’ve cancelled your reminder." in page
    assert "any reminder" not in page


def test_reader_without_an_address_reads_nothing_of_reminders(container: Container, client: FlaskClient) -> None:
    assert "reminder" not in visible_text(thanks(client, paid(container, client, email=None)))


def not_charged(client: FlaskClient, pledge_id: str) -> TestResponse:
    return client.get(f"/support/default/not-charged?pledge={pledge_id}", headers=BROWSER)


def test_leaving_the_checkout_says_that_nothing_was_charged(container: Container, client: FlaskClient) -> None:
    update_campaign(container, return_hosts=["paper.example"])
    pledge = post_pledge(client, page_url="https://paper.example/story", frequency="annual", amount=5000).json
    page = not_charged(client, pledge["id"]).text
    assert "You haven’t been charged" in visible_text(page)
    assert '<a class="main-button" href="https://paper.example/story">' in page
    assert 'href="http://desk.test/support/default?frequency=annual&amp;amount=5000"' in page
    assert pledge["checkout_url"] not in page


def test_left_checkout_is_in_the_readers_language(client: FlaskClient) -> None:
    page = not_charged(client, create_pledge(client, lang="ru")).text
    assert '<a class="main-button" href="http://desk.test/support/default?frequency=monthly&amp;amount=200' in page
    assert "С вас ничего не списали" in visible_text(page)


@pytest.mark.parametrize("status", PledgeStatus)
def test_only_an_unpaid_pledge_is_called_not_charged(
    container: Container, client: FlaskClient, status: PledgeStatus
) -> None:
    pledge_id = create_pledge(client)
    set_status(container, pledge_id, status)
    response = not_charged(client, pledge_id)
    if status in (PledgeStatus.PENDING, PledgeStatus.EXPIRED):
        assert response.status_code == 200
    else:
        assert response.status_code == 303
        assert response.headers["Location"] == f"http://desk.test/support/default/thank-you?pledge={pledge_id}"


def test_left_checkout_of_an_unknown_pledge_is_not_found(client: FlaskClient) -> None:
    assert not_charged(client, "00000000-0000-0000-0000-000000000000").status_code == 404


def test_a_single_note_is_no_list(container: Container, client: FlaskClient) -> None:
    monthly, once = create_pledge(client), create_pledge(client, frequency="once", amount=500)
    for pledge_id in (monthly, once):
        pay_pledge(container, pledge_id, email=None)
    page = thanks(client, monthly)
    assert "<p>Next payment: $2 on December" in page.replace("\N{NO-BREAK SPACE}", " ")
    assert '<ul class="facts">' not in page
    assert '<ul class="facts">' not in thanks(client, once)
