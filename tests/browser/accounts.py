"""A reader who gives with an address and comes to their own page, in a browser."""

import re
import uuid

from playwright.sync_api import Page, expect
from sqlalchemy import select

from service.bootstrap import build_container
from service.db.models.pledge import Pledge
from service.db.models.sign_in import SignIn
from service.domain.pledges.links import pledge_token
from service.domain.sign_in import create_magic_link_token, redeem_link, request_sign_in
from tests.browser.live_server import LiveServer, pledge_in
from tests.conftest import settings_for
from tests.processes import wait_until

COOKIE = "mainstay_reader"


def create_paid_pledge(live_server: LiveServer, page: Page, email: str, **changes) -> str:
    """Give as a reader does, on the checkout's page; return the pledge's id."""
    page.goto(live_server.pledge(str(uuid.uuid4()), **changes)["checkout_url"])
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you for standing behind us.")
    return pledge_in(page.url)


def sign_in_link(live_server: LiveServer, email: str) -> str:
    """Wait for the mail with the link to sign in and return that link."""
    found: list[str] = []

    def arrived() -> bool:
        for mail in live_server.mails_to(email):
            found.extend(re.findall(rf"{re.escape(live_server.base)}/me/enter/[\w-]+", live_server.read(mail)))
        return bool(found)

    wait_until(arrived, what=f"the link to sign in for {email}")
    return found[0]


def session_of(live_server: LiveServer, email: str) -> dict[str, str]:
    """Return the cookie of a reader who has signed in by mail before."""
    container = build_container(settings_for(live_server.database_url))
    with container.database.transaction() as session:
        request_sign_in(session, email, lang="en", now=container.clock())
        secret = redeem_link(session, _make_link(session, container), now=container.clock())
    container.database.engine.dispose()
    return {"name": COOKIE, "value": secret, "url": live_server.base}


def fresh_sign_in_link(live_server: LiveServer, email: str) -> str:
    """Return a link to sign in, as if its mail had been written; the worker must rest."""
    container = build_container(settings_for(live_server.database_url))
    with container.database.transaction() as session:
        request_sign_in(session, email, lang="en", now=container.clock())
        token = _make_link(session, container)
    container.database.engine.dispose()
    return f"{live_server.base}/me/enter/{token}"


def open_account(live_server: LiveServer, pledge_id: str) -> str:
    """Return the address of a pledge's own page, as its mails have it."""
    container = build_container(settings_for(live_server.database_url))
    with container.database.read_only() as session:
        pledge = session.get_one(Pledge, uuid.UUID(pledge_id))
        address = f"{live_server.base}/p/{pledge_token(container.database.keyring, pledge, now=container.clock())}"
    container.database.engine.dispose()
    return address


def _make_link(session, container) -> str:
    newest = session.scalars(select(SignIn).order_by(SignIn.id.desc()).limit(1)).one()
    return create_magic_link_token(session, newest, container.clock())
