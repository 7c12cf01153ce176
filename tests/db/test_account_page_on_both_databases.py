"""A supporter's account page on both databases: view, change the amount, cancel with a reminder."""

from service.app import create_app
from service.container import Container
from tests.pages.accounts import create_paid_pledge, page, pledge_link, sign_in
from tests.pages.html import visible_text


def test_supporter_views_changes_and_cancels_pledge(any_database: Container) -> None:
    client = create_app(any_database).test_client()
    pledge_id = create_paid_pledge(any_database, client)
    sign_in(any_database, client)
    assert "$2 a month" in visible_text(page(client, "/me"))
    assert client.post(f"/me/pledges/{pledge_id}/amount", data={"amount": "7.50"}).status_code == 303
    link = pledge_link(any_database, pledge_id)
    location = client.post(f"{link}/cancel", data={"then": "remind"}).headers["Location"]
    assert "we’ll email you once" in visible_text(page(client, location))
    text = visible_text(page(client, "/me"))
    assert "$7.50 a month Cancelled" in text
    assert "We’ll email you on" in text
