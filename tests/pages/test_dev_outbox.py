"""The development outbox shows every stored email, and only where it is in use."""

import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.settings import Settings
from tests.clock import FakeClock
from tests.conftest import LOCAL_URL, settings_for
from tests.gateways.emails import REMINDER_EMAIL, send
from tests.gateways.notifications import notification
from tests.pages.html import BROWSER, visible_text

OUTBOX = "/dev/outbox"


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    return settings_for(migrated_database, PUBLIC_URL=LOCAL_URL)


@pytest.fixture
def email_path(container: Container, client: FlaskClient) -> str:
    """Return the path of a stored email."""
    send(container.mailers[0], to="reader@example.org")
    match = re.search(r'href="(/dev/outbox/[^"]+)"', client.get(OUTBOX).text)
    assert match is not None
    return match[1]


@pytest.fixture
def sending_client(migrated_database: str, container: Container) -> Iterator[FlaskClient]:
    """Return a client of an application on the same database that sends its emails."""
    smtp_container = build_container(
        settings_for(migrated_database, PUBLIC_URL=LOCAL_URL, MAIL_URL="smtp://127.0.0.1:1?tls=none")
    )
    yield create_app(smtp_container).test_client()
    smtp_container.database.engine.dispose()


def test_empty_outbox_has_instructions(client: FlaskClient) -> None:
    page = visible_text(client.get(OUTBOX).text)
    assert "No emails yet." in page
    assert "The demo keeps them here." in page


def test_emails_are_listed_newest_first(container: Container, client: FlaskClient, clock: FakeClock) -> None:
    for number in range(3):
        send(container.mailers[0], to=f"reader-{number}@example.org", message_id=f"<{number}@desk.test>")
        clock.advance(seconds=1)
    assert re.findall(r"reader-\d", client.get(OUTBOX).text) == ["reader-2", "reader-1", "reader-0"]


def test_email_page_has_headers_and_both_parts(client: FlaskClient, email_path: str) -> None:
    page = client.get(email_path).text
    for name in ("From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post"):
        assert f"<dt>{name}</dt>" in page
    assert "reader@example.org" in page
    assert REMINDER_EMAIL.manage_url in page
    assert f'src="{email_path}/html"' in page
    assert "frame-src 'self'" in client.get(email_path).headers["Content-Security-Policy"]


def test_html_part_is_sandboxed(client: FlaskClient, email_path: str) -> None:
    response = client.get(f"{email_path}/html")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert '<base target="_top">' in response.text


def test_unknown_email_is_not_found(client: FlaskClient) -> None:
    for path in ("/00000000-0000-0000-0000-000000000000", "/x", "/00000000-0000-0000-0000-000000000000/html"):
        assert client.get(OUTBOX + path, headers=BROWSER).status_code == 404


def test_outbox_is_not_found_with_smtp(sending_client: FlaskClient, client: FlaskClient, email_path: str) -> None:
    for path in (OUTBOX, email_path, f"{email_path}/html"):
        assert client.get(path).status_code == 200
        assert sending_client.get(path).status_code == 404
    assert "/dev/outbox" not in sending_client.get("/demo").text


def test_outbox_is_not_found_from_another_machine(client: FlaskClient, email_path: str) -> None:
    for path in (OUTBOX, email_path, f"{email_path}/html"):
        response = client.get(path, environ_base={"REMOTE_ADDR": "203.0.113.9"})
        assert response.status_code == 404
        assert "reader@example.org" not in response.text


def test_notification_is_stored_without_unsubscribe_header(container: Container, client: FlaskClient) -> None:
    container.urgent_mailer.send(container.urgent_mailer.render(notification()))
    listing = client.get(OUTBOX).text
    assert "Your receipt from The Paper" in listing
    match = re.search(r'href="(/dev/outbox/[^"]+)"', listing)
    assert match is not None
    page = client.get(match[1]).text
    assert notification().page_url in page
    assert "Auto-Submitted" in page
    assert "List-Unsubscribe" not in page
