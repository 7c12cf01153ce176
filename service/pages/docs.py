"""The API's description, for people: the same specification as /openapi.json, drawn on the server."""

from flask import Blueprint, Response

from service.pages.api_facts import current_api_metadata
from service.pages.api_outline import build_outline
from service.pages.language import english_texts
from service.pages.sheet import render_page

docs = Blueprint("docs", __name__)


@docs.get("/docs")
def show_docs() -> Response:
    """Show every operation, what it takes and answers, and every error."""
    facts = current_api_metadata()
    errors = [(status, code, sentence) for status, (code, sentence) in facts.codes.items()]
    errors += [(status, error.code, (error.__doc__ or "").strip()) for error, status in facts.statuses.items()]
    return render_page(
        "docs.html", english_texts(), api=build_outline(facts.specification()), errors=sorted(errors)
    )
