"""The demo: an article of an invented newspaper with the support box embedded below it."""

from flask import Blueprint, Response, redirect
from werkzeug.wrappers import Response as BaseResponse

from service.pages.rendering import render_page
from service.pages.translations import default_texts
from service.web import current_container

# Data of the chart in the article: year and number of days without a ferry.
CANCELLED_DAYS = ((2019, 9), (2020, 14), (2021, 22), (2022, 31), (2023, 38), (2024, 57), (2025, 71))

demo = Blueprint("demo", __name__)


@demo.get("/")
def redirect_to_demo() -> BaseResponse:
    return redirect("/demo", 302)


@demo.get("/demo")
def show_demo() -> Response:
    return render_page(
        "demo.html",
        default_texts(),
        allow_widget=True,
        days=CANCELLED_DAYS,
        uses_dev_outbox=current_container().settings.uses_dev_outbox,
    )
