"""The desk of these tests is the one of the API's, which is emptied faster; its reasons are given there."""

from tests.api.conftest import app, demo_terms, desk, lasting_app

__all__ = ["app", "demo_terms", "desk", "lasting_app"]
