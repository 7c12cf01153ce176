"""Supporters with an account: their pledges, links and sign-in."""

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
    """Submit the form that requests a sign-in link."""
    return client.post("/me", data={"email": address}, headers=BROWSER | headers)


def sign_in_link(container: Container) -> str:
    """Return the token of the newest sign-in link, as the worker creates it for the email."""
    with container.database.transaction() as session:
        newest = session.scalars(select(SignIn).order_by(SignIn.id.desc()).limit(1)).one()
        return create_magic_link_token(session, newest, container.clock())


def sign_in(container: Container, client: FlaskClient, address: str = READER) -> str:
    """Sign in; return the token of the used link."""
    assert request_link(client, address).status_code == 303
    token = sign_in_link(container)
    assert client.post(f"/me/enter/{token}").status_code == 303
    return token


def create_paid_pledge(
    container: Container, client: FlaskClient, *, email: str | None = READER, **changes: Any
) -> str:
    """Create a pledge and pay it; return its id."""
    pledge_id = str(post_pledge(client, **changes).json["id"])
    pay_pledge(container, pledge_id, email=email)
    return pledge_id


def pledge_link(container: Container, pledge_id: str) -> str:
    """Return the path of a pledge's page, as in its emails."""
    with container.database.read_only() as session:
        pledge = session.get_one(Pledge, uuid.UUID(pledge_id))
        return f"/p/{pledge_token(container.database.keyring, pledge, now=container.clock())}"


def stored(container: Container, pledge_id: str) -> Pledge:
    with container.database.read_only() as session:
        return session.get_one(Pledge, uuid.UUID(pledge_id))


def the_payment(container: Container) -> uuid.UUID:
    """Return the id of the only payment."""
    with container.database.read_only() as session:
        return session.scalars(select(Payment.id)).one()


def page(client: FlaskClient, path: str, status: int = 200, **headers: str) -> str:
    """Return a page's HTML as a browser gets it."""
    response = client.get(path, headers=BROWSER | headers)
    assert response.status_code == status, response.text
    return response.text


def form_to(html: str, ending: str) -> Form:
    """Return the only form of a page whose action ends so."""
    [match] = [form for form in parse_forms(html) if form.action.partition("?")[0].endswith(ending)]
    return match


class AccessPath:
    """The pages of one pledge, for a signed-in supporter or by the pledge's link.

    The pledge's actions are under the path `base`; `home` is the page that links to them.
    """

    def __init__(self, container: Container, client: FlaskClient, kind: str, pledge_id: str) -> None:
        self.client, self.id = client, pledge_id
        if kind == "signed in":
            sign_in(container, client)
            self.home, self.base = "/me", f"/me/pledges/{pledge_id}"
        else:
            self.home = self.base = pledge_link(container, pledge_id)

    def post(self, action: str, status: int = 303, **fields: str) -> TestResponse:
        response = self.client.post(f"{self.base}/{action}", data=fields, headers=BROWSER)
        assert response.status_code == status, response.text
        return response
