"""Fixtures of the API tests. The app is built once, because building its OpenAPI document is slow."""

import pytest
from flask import Flask

from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.web import init_app
from tests.conftest import settings_for


@pytest.fixture(scope="session")
def session_app(migrated_database: str) -> Flask:
    """Return an application to which each test attaches its own container."""
    return create_app(build_container(settings_for(migrated_database)))


@pytest.fixture
def app(session_app: Flask, container: Container) -> Flask:
    """Return the web application with the test's container."""
    init_app(session_app, container)
    return session_app
