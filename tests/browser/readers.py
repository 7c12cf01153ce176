"""A reader who gives with an address and comes to their own page, in a browser."""

import re
import uuid

from playwright.sync_api import Page, expect
from sqlalchemy import select

from service.db.pledge import Pledge
from service.db.sign_in import SignIn
from service.domain.pledges.own_page import pledge_token
from service.domain.sign_in.asking import request_sign_in
from service.domain.sign_in.links import create_magic_link_token
from service.domain.sign_in.sessions import redeem_link
from service.wiring import build_container
from tests.browser.newsroom import Newsroom, pledge_in
from tests.conftest import settings_for
from tests.processes import wait_until

COOKIE = "mainstay_reader"


def give(newsroom: Newsroom, page: Page, email: str, **changes) -> str:
    """Give as a reader does, on the checkout's page; return the pledge's id."""
    page.goto(newsroom.pledge(str(uuid.uuid4()), **changes)["checkout_url"])
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you for standing behind us.")
    return pledge_in(page.url)


def sign_in_link(newsroom: Newsroom, email: str) -> str:
    """Wait for the mail with the link to sign in and return that link."""
    found: list[str] = []

    def arrived() -> bool:
        for mail in newsroom.mails_to(email):
            found.extend(re.findall(rf"{re.escape(newsroom.base)}/me/enter/[\w-]+", newsroom.read(mail)))
        return bool(found)

    wait_until(arrived, what=f"the link to sign in for {email}")
    return found[0]


def session_of(newsroom: Newsroom, email: str) -> dict[str, str]:
    """Return the cookie of a reader who has signed in by mail before."""
    container = build_container(settings_for(newsroom.database_url))
    with container.database.transaction() as session:
        request_sign_in(session, email, lang="en", now=container.clock())
        secret = redeem_link(session, _make_link(session, container), now=container.clock())
    container.database.engine.dispose()
    return {"name": COOKIE, "value": secret, "url": newsroom.base}


def unused_link(newsroom: Newsroom, email: str) -> str:
    """Return a link to sign in, as if its mail had been written; the worker must rest."""
    container = build_container(settings_for(newsroom.database_url))
    with container.database.transaction() as session:
        request_sign_in(session, email, lang="en", now=container.clock())
        token = _make_link(session, container)
    container.database.engine.dispose()
    return f"{newsroom.base}/me/enter/{token}"


def own_page(newsroom: Newsroom, pledge_id: str) -> str:
    """Return the address of a pledge's own page, as its mails have it."""
    container = build_container(settings_for(newsroom.database_url))
    with container.database.read_only() as session:
        pledge = session.get_one(Pledge, uuid.UUID(pledge_id))
        address = f"{newsroom.base}/p/{pledge_token(container.database.keyring, pledge, now=container.clock())}"
    container.database.engine.dispose()
    return address


def _make_link(session, container) -> str:
    newest = session.scalars(select(SignIn).order_by(SignIn.id.desc()).limit(1)).one()
    return create_magic_link_token(session, newest, container.clock())
