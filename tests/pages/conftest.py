"""The application is the lasting one of the API's tests; a pledge is reached in both of a reader's ways."""

import pytest
from flask.testing import FlaskClient

from service.desk import Container
from tests.api.conftest import app, session_app
from tests.pages.readers import Way, give

__all__ = ["app", "session_app"]


@pytest.fixture(params=["signed in", "by link"])
def way(request: pytest.FixtureRequest, container: Container, client: FlaskClient) -> Way:
    """Return a monthly $2 as its reader reaches it, in both ways."""
    return Way(container, client, request.param, give(container, client))
