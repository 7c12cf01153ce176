"""Readers who come to their own page: how they sign in, and what they gave."""

import uuid
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from service.container import Container
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.db.models.sign_in import SignIn
from service.domain.pledges.links import pledge_token
from service.domain.sign_in import create_magic_link_token
from tests.api.client import pay_pledge, post_pledge
from tests.pages.html import BROWSER, Form, parse_forms

READER = "reader@example.org"


def request_link(client: FlaskClient, address: str = READER, **headers: str) -> TestResponse:
    """Ask for a link, as the form does."""
    return client.post("/me", data={"email": address}, headers=BROWSER | headers)


def sign_in_link(container: Container) -> str:
    """Return the token that the mail of the newest wish holds, as the worker would have made it."""
    with container.database.transaction() as session:
        newest = session.scalars(select(SignIn).order_by(SignIn.id.desc()).limit(1)).one()
        return create_magic_link_token(session, newest, container.clock())


def sign_in(container: Container, client: FlaskClient, address: str = READER) -> str:
    """Sign in by mail; return the token of the link that was used."""
    assert request_link(client, address).status_code == 303
    token = sign_in_link(container)
    assert client.post(f"/me/enter/{token}").status_code == 303
    return token


def create_paid_pledge(
    container: Container, client: FlaskClient, *, email: str | None = READER, **changes: Any
) -> str:
    """Make a pledge and pay it; return its id."""
    made = str(post_pledge(client, **changes).json["id"])
    pay_pledge(container, made, email=email)
    return made


def pledge_link(container: Container, pledge_id: str) -> str:
    """Return the address of a pledge's own page, as its mails have it."""
    with container.database.read_only() as session:
        found = session.get_one(Pledge, uuid.UUID(pledge_id))
        return f"/p/{pledge_token(container.database.keyring, found, now=container.clock())}"


def stored(container: Container, pledge_id: str) -> Pledge:
    """Return the pledge as it is stored."""
    with container.database.read_only() as session:
        return session.get_one(Pledge, uuid.UUID(pledge_id))


def the_payment(container: Container) -> uuid.UUID:
    """Return the id of the only payment there is."""
    with container.database.read_only() as session:
        return session.scalars(select(Payment.id)).one()


def page(client: FlaskClient, path: str, status: int = 200, **headers: str) -> str:
    """Return a page as a browser gets it."""
    response = client.get(path, headers=BROWSER | headers)
    assert response.status_code == status, response.text
    return response.text


def form_to(html: str, ending: str) -> Form:
    """Return the form of a page that leads to an address that ends so."""
    [found] = [form for form in parse_forms(html) if form.action.partition("?")[0].endswith(ending)]
    return found


class AccessPath:
    """One pledge, reached in one of the two ways."""

    def __init__(self, container: Container, client: FlaskClient, access_path: str, pledge_id: str) -> None:
        self.client, self.id = client, pledge_id
        if access_path == "signed in":
            sign_in(container, client)
            self.home, self.base = "/me", f"/me/pledges/{pledge_id}"
        else:
            self.home = self.base = pledge_link(container, pledge_id)

    def post(self, action: str, status: int = 303, **sent: str):
        response = self.client.post(f"{self.base}/{action}", data=sent, headers=BROWSER)
        assert response.status_code == status, response.text
        return response
