"""Fixtures: the application of the API tests, and both ways to reach a pledge's pages."""

import pytest
from flask.testing import FlaskClient

from service.container import Container
from tests.api.conftest import app, session_app
from tests.pages.accounts import AccessPath, create_paid_pledge

__all__ = ["app", "session_app"]


@pytest.fixture
def pledge_link(container: Container, client: FlaskClient) -> AccessPath:
    """Return a paid pledge of $2 a month by its link, which outlasts a session."""
    return AccessPath(container, client, "by link", create_paid_pledge(container, client))


@pytest.fixture(params=["signed in", "by link"])
def access_path(request: pytest.FixtureRequest, container: Container, client: FlaskClient) -> AccessPath:
    """Return a paid pledge of $2 a month, once signed in and once by its link."""
    return AccessPath(container, client, request.param, create_paid_pledge(container, client))
