"""The reader's own page on both databases: seen, given another amount, and ended with a reminder."""

from service.app import create_app
from service.container import Container
from tests.pages.accounts import create_paid_pledge, page, pledge_link, sign_in
from tests.pages.html import visible_text


def test_a_reader_sees_changes_and_ends_what_they_give(any_database: Container) -> None:
    client = create_app(any_database).test_client()
    pledge_id = create_paid_pledge(any_database, client)
    sign_in(any_database, client)
    assert "$2 a month" in visible_text(page(client, "/me"))
    assert client.post(f"/me/pledges/{pledge_id}/amount", data={"amount": "7.50"}).status_code == 303
    link = pledge_link(any_database, pledge_id)
    ended = client.post(f"{link}/cancel", data={"then": "remind"}).headers["Location"]
    assert "we write to you once" in visible_text(page(client, ended))
    shown = visible_text(page(client, "/me"))
    assert "$7.50 a month Ended" in shown
    assert "We write to you on" in shown
