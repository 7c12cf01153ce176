"""An article of an invented paper, with the support box under it, as a newsroom would embed it."""

from flask import Blueprint, Response, redirect
from werkzeug.wrappers import Response as BaseResponse

from service.pages.rendering import render_page
from service.pages.translations import default_texts
from service.web import current_container

# Days on which the invented ferry did not sail: the figure of the article.
CANCELLED_DAYS = ((2019, 9), (2020, 14), (2021, 22), (2022, 31), (2023, 38), (2024, 57), (2025, 71))

demo = Blueprint("demo", __name__)


@demo.get("/")
def redirect_to_demo() -> BaseResponse:
    """Lead a newcomer to the demonstration."""
    return redirect("/demo", 302)


@demo.get("/demo")
def show_demo() -> Response:
    """Show the article with the box in it."""
    return render_page(
        "demo.html",
        default_texts(),
        allow_widget=True,
        days=CANCELLED_DAYS,
        keeps_mail=current_container().settings.uses_dev_outbox,
    )
