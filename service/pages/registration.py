"""Hanging the pages into an app."""

from flask import Flask

from service.pages.api_facts import ApiMetadata, init_api_metadata
from service.pages.demo import demo
from service.pages.docs import docs
from service.pages.files import files
from service.pages.me import account
from service.pages.outbox import outbox
from service.pages.own_support import own_support
from service.pages.pledge_amount import pledge_amount
from service.pages.pledge_page import pledge_page
from service.pages.reminder import reminder
from service.pages.sandbox import sandbox
from service.pages.support import support
from service.pages.support_reminder import support_reminder
from service.pages.thank_you import thank_you
from service.pages.trouble import register_error_pages

ACCOUNT_BLUEPRINTS = (account, own_support, pledge_page, pledge_amount)
BLUEPRINTS = (
    support,
    support_reminder,
    thank_you,
    sandbox,
    reminder,
    *ACCOUNT_BLUEPRINTS,
    demo,
    outbox,
    docs,
    files,
)


def register_pages(app: Flask, facts: ApiMetadata) -> None:
    """Register every page, and show refusals as pages to those who would rather read them."""
    init_api_metadata(app, facts)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    register_error_pages(app)
