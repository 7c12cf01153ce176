"""The desk of these tests is the one of the API's, which is emptied faster; its reasons are given there."""

import pytest
from flask.testing import FlaskClient

from service.desk import Desk
from tests.api.conftest import app, demo_terms, desk, lasting_app, lasting_engine
from tests.pages.readers import Way, give

__all__ = ["app", "demo_terms", "desk", "lasting_app", "lasting_engine"]


@pytest.fixture(params=["signed in", "by link"])
def way(request: pytest.FixtureRequest, desk: Desk, client: FlaskClient) -> Way:
    """Return a monthly $2 as its reader reaches it, in both ways."""
    return Way(desk, client, request.param, give(desk, client))
