"""A pledge from a reminder's link is attributed to that reminder."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from schemas.enums import PledgeStatus
from service.container import Container
from service.domain.pledges.attribution import attribution_token
from tests.api.client import only_reminder, post_reminder, reminder_token_for
from tests.pages.html import parse_forms, path_of
from tests.pages.support_form import get_support_form, submit_pledge, the_pledge


@pytest.fixture
def link(client: FlaskClient, container: Container) -> str:
    """Return the support link of a reminder email."""
    post_reminder(client, frequency="monthly", amount=200)
    reminder = only_reminder(container)
    token = attribution_token(container.database.keyring, reminder)
    with container.database.read_only() as session:
        campaign = session.merge(reminder, load=False).campaign
        return container.urls.support_page_url(campaign, reminder.frequency, reminder.amount_minor, token)


def href_with(page: str, part: str) -> str:
    """Return the first link target on a page that contains `part`."""
    match = re.search(rf'href="([^"]*{part}[^"]*)"', page)
    assert match is not None
    return match[1]


def test_pledge_from_email_link_is_attributed(client: FlaskClient, container: Container, link: str) -> None:
    form = parse_forms(client.get(path_of(link)).text)[0]
    assert submit_pledge(client, form).status_code == 303
    assert (the_pledge(container).reminder_id, the_pledge(container).amount_minor) == (
        only_reminder(container).id,
        200,
    )


def test_pledge_from_reminder_page_is_attributed(client: FlaskClient, container: Container) -> None:
    post_reminder(client)
    page = client.get(f"/r/{reminder_token_for(container, 'reader@example.org')}").text
    submit_pledge(client, parse_forms(client.get(path_of(unescape(href_with(page, "from=")))).text)[0])
    assert the_pledge(container).reminder_id == only_reminder(container).id


def test_invalid_amount_keeps_the_attribution(client: FlaskClient, container: Container, link: str) -> None:
    form = parse_forms(client.get(path_of(link)).text)[0]
    again = parse_forms(submit_pledge(client, form, other_amount="1").text)[0]
    assert again.fields == form.fields | {"other_amount": "1"}
    submit_pledge(client, again, other_amount="8")
    assert the_pledge(container).reminder_id == only_reminder(container).id


def test_double_submit_creates_one_attributed_pledge(client: FlaskClient, container: Container, link: str) -> None:
    form = parse_forms(client.get(path_of(link)).text)[0]
    first, second = submit_pledge(client, form), submit_pledge(client, form)
    assert first.headers["Location"] == second.headers["Location"]
    assert the_pledge(container).reminder_id is not None


def test_page_without_token_has_no_attribution_field(client: FlaskClient) -> None:
    assert "from" not in get_support_form(client).fields


@pytest.mark.parametrize("token", ["x" * 201, "a b", '"><script>', "токен", "%00", "a=b", ""])
def test_malformed_token_is_ignored(client: FlaskClient, container: Container, token: str) -> None:
    form = get_support_form(client, **{"from": token})
    assert "from" not in form.fields
    assert submit_pledge(client, form, **{"from": token}).status_code == 303
    assert the_pledge(container).reminder_id is None


@pytest.mark.parametrize("token", ["x", "A" * 76, "A" * 200])
def test_invalid_token_does_not_prevent_the_pledge(client: FlaskClient, container: Container, token: str) -> None:
    assert submit_pledge(client, get_support_form(client, **{"from": token})).status_code == 303
    assert the_pledge(container).reminder_id is None


def test_retry_after_expired_checkout_keeps_the_attribution(
    client: FlaskClient, container: Container, link: str
) -> None:
    submit_pledge(client, parse_forms(client.get(path_of(link)).text)[0])
    pledge = the_pledge(container)
    with container.database.transaction() as session:
        session.merge(pledge).status = PledgeStatus.EXPIRED
    page = client.get("/support/default/thank-you", query_string={"pledge": str(pledge.id)}).text
    assert link.partition("from=")[2] in page
