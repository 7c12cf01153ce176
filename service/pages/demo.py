"""The demo: an article of an invented newspaper with the support box embedded below it."""

from flask import Blueprint, Response
from werkzeug.exceptions import NotFound

from service.domain.campaigns.definitions import DEFAULT_SLUG
from service.domain.pledges.installation import get_demo_slug
from service.pages.rendering import render_page
from service.pages.translations import default_texts
from service.web import current_container, read_only

# Data of the chart in the article: year and number of days without a ferry.
CANCELLED_DAYS = ((2019, 9), (2020, 14), (2021, 22), (2022, 31), (2023, 38), (2024, 57), (2025, 71))

PAPER = "The Harbour Lantern"

demo = Blueprint("demo", __name__)


@demo.get("/demo")
def show_demo() -> Response:
    """Show the article, in development and where staff installed it.

    Raises:
        NotFound: this is neither.
    """
    settings = current_container().settings
    slug = DEFAULT_SLUG
    if settings.is_production:
        with read_only() as session:
            installed_slug = get_demo_slug(session)
        if installed_slug is None:
            raise NotFound
        slug = installed_slug
    return render_page(
        "demo.html",
        default_texts(),
        allow_widget=True,
        site_name=PAPER,
        days=CANCELLED_DAYS,
        slug=slug,
        is_production=settings.is_production,
        has_outbox=settings.uses_dev_outbox and settings.is_local_only,
    )
