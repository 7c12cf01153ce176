"""Supporters with an email address and an account, for the browser tests."""

import re
import uuid

from playwright.sync_api import Page, expect
from sqlalchemy import select

from service.bootstrap import build_container
from service.db.models.email_change import EmailChange
from service.db.models.erasure import ErasureRequest
from service.db.models.pledge import Pledge
from service.db.models.sign_in import SignIn
from service.domain.email_changes import email_change_token, request_email_change, undo_token
from service.domain.erasure_requests import erasure_token, request_own_erasure
from service.domain.pledges.links import pledge_token
from service.domain.sign_in import create_magic_link_token, redeem_link, request_sign_in
from service.domain.supporters import supporter_ids_for
from tests.browser.live_server import LiveServer, pledge_id_from_url
from tests.conftest import settings_for
from tests.processes import wait_until

COOKIE = "mainstay_reader"


def create_paid_pledge(live_server: LiveServer, page: Page, email: str, **changes) -> str:
    """Create a pledge and pay it on the checkout page; return its id."""
    page.goto(live_server.create_pledge(str(uuid.uuid4()), **changes)["checkout_url"])
    page.locator("[name=email]").fill(email)
    page.locator("[value=pay]").click()
    page.wait_for_url("**/thank-you?*")
    return pledge_id_from_url(page.url)


def sign_in_link(live_server: LiveServer, email: str) -> str:
    """Wait for the sign-in email and return the link in it."""
    return link_in_email(live_server, email, "enter")


def link_in_email(live_server: LiveServer, email: str, action: str) -> str:
    """Wait for an email with a link to an action of the account, and return the link."""
    links: list[str] = []
    pattern = rf"{re.escape(live_server.base_url)}/me/{action}/[\w.-]{{20,}}"

    def arrived() -> bool:
        for path in live_server.emails_to(email):
            links.extend(re.findall(pattern, live_server.get_html(path)))
        return bool(links)

    wait_until(arrived, what=f"the link to {action} for {email}")
    return links[0]


def change_address(live_server: LiveServer, page: Page, new: str) -> None:
    """Change the address of the supporter whose account the page shows, by the link sent to the new one."""
    page.get_by_role("link", name="Change my email address").click()
    page.get_by_label("New email address").fill(new)
    page.get_by_role("button", name="Send me the link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your email")
    page.goto(link_in_email(live_server, new, "email"))
    page.get_by_role("button", name="Use this address").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your email address has changed")


def session_cookie(live_server: LiveServer, email: str) -> dict[str, str]:
    """Return the session cookie of a signed-in supporter, once the event with their address was applied."""
    container = build_container(settings_for(live_server.database_url))

    def is_known() -> bool:
        with container.database.read_only() as session:
            return bool(supporter_ids_for(session, email))

    wait_until(is_known, what="the supporter's address")
    with container.database.transaction() as session:
        request_sign_in(session, email, lang="en", now=container.clock())
        secret = redeem_link(session, _newest_token(session, container), now=container.clock())
    container.database.engine.dispose()
    return {"name": COOKIE, "value": secret, "url": live_server.base_url}


def fresh_sign_in_link(live_server: LiveServer, email: str) -> str:
    """Return an unused sign-in link. The worker must be paused, because the email would replace the link."""
    container = build_container(settings_for(live_server.database_url))
    with container.database.transaction() as session:
        request_sign_in(session, email, lang="en", now=container.clock())
        token = _newest_token(session, container)
    container.database.engine.dispose()
    return f"{live_server.base_url}/me/enter/{token}"


def email_change_link(live_server: LiveServer, pledge_id: str) -> str:
    """Request another address for a pledge's supporter; return the link that confirms it."""
    container = build_container(settings_for(live_server.database_url))
    keyring, now = container.database.keyring, container.clock()
    with container.database.transaction() as session:
        supporter_id = session.get_one(Pledge, uuid.UUID(pledge_id)).supporter_id
        request_email_change(session, supporter_id, f"{pledge_id}@example.org", lang="en", now=now)
        newest = session.scalars(select(EmailChange).order_by(EmailChange.id.desc()).limit(1)).one()
        token = email_change_token(keyring, newest.id, newest.requested_at)
    container.database.engine.dispose()
    return f"{live_server.base_url}/me/email/{token}"


def undo_link(live_server: LiveServer, pledge_id: str) -> str:
    """Return the link that undoes the latest change of the address of a pledge's supporter."""
    container = build_container(settings_for(live_server.database_url))
    with container.database.read_only() as session:
        supporter_id = session.get_one(Pledge, uuid.UUID(pledge_id)).supporter_id
        query = select(EmailChange).where(
            EmailChange.supporter_id == supporter_id, EmailChange.undo_until.is_not(None)
        )
        change = session.scalars(query.order_by(EmailChange.id.desc()).limit(1)).one()
        token = undo_token(container.database.keyring, change.id, change.undo_until)
    container.database.engine.dispose()
    return f"{live_server.base_url}/me/email/undo/{token}"


def erasure_link(live_server: LiveServer, pledge_id: str) -> str:
    """Ask to erase a pledge's supporter; return the link that confirms it."""
    container = build_container(settings_for(live_server.database_url))
    now = container.clock()
    with container.database.transaction() as session:
        supporter_id = session.get_one(Pledge, uuid.UUID(pledge_id)).supporter_id
        request_own_erasure(session, supporter_id, lang="en", now=now)
        newest = session.scalars(select(ErasureRequest).order_by(ErasureRequest.id.desc()).limit(1)).one()
        token = erasure_token(container.database.keyring, newest.id, newest.requested_at)
    container.database.engine.dispose()
    return f"{live_server.base_url}/me/erase/{token}"


def pledge_page_url(live_server: LiveServer, pledge_id: str) -> str:
    """Return the URL of a pledge's page, as in its emails."""
    container = build_container(settings_for(live_server.database_url))
    with container.database.read_only() as session:
        pledge = session.get_one(Pledge, uuid.UUID(pledge_id))
        url = f"{live_server.base_url}/p/{pledge_token(container.database.keyring, pledge, now=container.clock())}"
    container.database.engine.dispose()
    return url


def _newest_token(session, container) -> str:
    newest = session.scalars(select(SignIn).order_by(SignIn.id.desc()).limit(1)).one()
    return create_magic_link_token(session, newest, container.clock())
