"""The demonstration's outbox: every mail, and only where mails are kept."""

import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.gateways.emails import letter, send
from tests.gateways.notifications import notification
from tests.pages.html import BROWSER, visible_text

OUTBOX = "/dev/outbox"


@pytest.fixture
def mail(container: Container, client: FlaskClient) -> str:
    """Return the path of a mail that was kept."""
    send(container.reminder_mailers[0], to="reader@example.org")
    found = re.search(r'href="(/dev/outbox/[^"]+)"', client.get(OUTBOX).text)
    assert found is not None
    return found[1]


@pytest.fixture
def sending_client(migrated_database: str, container: Container) -> Iterator[FlaskClient]:
    """Return a client of a desk on the same database whose mails are sent."""
    sends = build_container(settings_for(migrated_database, MAIL_URL="smtp://127.0.0.1:1?tls=none"))
    yield create_app(sends).test_client()
    sends.database.engine.dispose()


def test_an_empty_outbox_says_how_to_fill_it(client: FlaskClient) -> None:
    page = visible_text(client.get(OUTBOX).text)
    assert "No mail yet." in page
    assert "this is the demonstration’s outbox" in page


def test_mails_are_listed_the_newest_first(container: Container, client: FlaskClient, clock: FakeClock) -> None:
    for number in range(3):
        send(container.reminder_mailers[0], to=f"reader-{number}@example.org", message_id=f"<{number}@desk.test>")
        clock.advance(seconds=1)
    assert re.findall(r"reader-\d", client.get(OUTBOX).text) == ["reader-2", "reader-1", "reader-0"]


def test_a_mail_shows_its_headers_and_both_its_parts(client: FlaskClient, mail: str) -> None:
    page = client.get(mail).text
    for name in ("From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post"):
        assert f"<dt>{name}</dt>" in page
    assert "reader@example.org" in page
    assert letter().manage_url in page
    assert f'src="{mail}/html"' in page
    assert "frame-src 'self'" in client.get(mail).headers["Content-Security-Policy"]


def test_the_html_part_can_do_nothing_but_lead_on(client: FlaskClient, mail: str) -> None:
    response = client.get(f"{mail}/html")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert '<base target="_top">' in response.text


def test_a_mail_that_was_not_kept_is_not_there(client: FlaskClient) -> None:
    for path in ("/00000000-0000-0000-0000-000000000000", "/x", "/00000000-0000-0000-0000-000000000000/html"):
        assert client.get(OUTBOX + path, headers=BROWSER).status_code == 404


def test_where_mails_are_sent_there_is_no_outbox(
    sending_client: FlaskClient, client: FlaskClient, mail: str
) -> None:
    for path in (OUTBOX, mail, f"{mail}/html"):
        assert client.get(path).status_code == 200
        assert sending_client.get(path).status_code == 404
    assert "/dev/outbox" not in sending_client.get("/demo").text


@pytest.mark.parametrize(
    ("address", "headers"),
    [("203.0.113.9", {}), ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"})],
)
def test_nobody_reads_others_mail_from_another_machine(
    client: FlaskClient, mail: str, address: str, headers: dict[str, str]
) -> None:
    for path in (OUTBOX, mail, f"{mail}/html"):
        response = client.get(path, environ_base={"REMOTE_ADDR": address}, headers=headers)
        assert response.status_code == 404
        assert "reader@example.org" not in response.text


def test_notices_are_kept_too_with_their_links_and_nothing_to_unsubscribe_from(
    container: Container, client: FlaskClient
) -> None:
    container.notification_mailer.send(container.notification_mailer.render(notification()))
    listed = client.get(OUTBOX).text
    assert "Your receipt from The Paper" in listed
    path = re.search(r'href="(/dev/outbox/[^"]+)"', listed)
    assert path is not None
    page = client.get(path[1]).text
    assert notification().page_url in page
    assert "Auto-Submitted" in page
    assert "List-Unsubscribe" not in page
