"""Fetch and submit the pledge form of the support page."""

from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from service.container import Container
from service.db.models.pledge import Pledge
from tests.pages.html import Form, parse_forms

PAGE = "/support/default"


def get_support_form(client: FlaskClient, **query: str) -> Form:
    response = client.get(PAGE, query_string=query)
    assert response.status_code == 200
    return parse_forms(response.text)[0]


def submit_pledge(client: FlaskClient, form: Form, **fields: Any) -> TestResponse:
    return client.post(form.action, data=form.fields | fields)


def the_pledge(container: Container) -> Pledge:
    with container.database.read_only() as session:
        return session.scalars(select(Pledge)).one()
