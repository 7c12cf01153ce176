"""The address without a path, which leads to the newsroom's campaign."""

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from service.domain.campaigns.definitions import default_campaign_slug
from service.web import read_only

home = Blueprint("home", __name__)


@home.get("/")
def redirect_to_support_page() -> BaseResponse:
    with read_only() as session:
        slug = default_campaign_slug(session)
    return redirect(url_for("support.show_support_page", slug=slug, lang=request.args.get("lang")), 302)
