"""The application is the lasting one of the API's tests; a pledge is reached in both of a reader's ways."""

import pytest
from flask.testing import FlaskClient

from service.container import Container
from tests.api.conftest import app, session_app
from tests.pages.accounts import AccessPath, create_paid_pledge

__all__ = ["app", "session_app"]


@pytest.fixture(params=["signed in", "by link"])
def access_path(request: pytest.FixtureRequest, container: Container, client: FlaskClient) -> AccessPath:
    """Return a monthly $2 as its reader reaches it, in both ways."""
    return AccessPath(container, client, request.param, create_paid_pledge(container, client))
