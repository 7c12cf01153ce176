"""The API's description, for people: the same specification as /openapi.json, drawn on the server."""

from flask import Blueprint, Response

from service.pages.api_facts import api_facts
from service.pages.api_outline import outline
from service.pages.language import english_words
from service.pages.sheet import sheet

docs = Blueprint("docs", __name__)


@docs.get("/docs")
def show_docs() -> Response:
    """Show every operation, what it takes and answers, and every error."""
    facts = api_facts()
    errors = [(status, code, sentence) for status, (code, sentence) in facts.codes.items()]
    errors += [(status, error.code, (error.__doc__ or "").strip()) for error, status in facts.statuses.items()]
    return sheet("docs.html", english_words(), api=outline(facts.specification()), errors=sorted(errors))
