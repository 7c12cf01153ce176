"""Hanging the pages into an app."""

from flask import Flask

from service.pages.account import account, own_support
from service.pages.account_pledges import pledge_amount, pledge_page
from service.pages.api_docs import ApiMetadata, docs, init_api_metadata
from service.pages.demo import demo
from service.pages.dev_outbox import outbox
from service.pages.error_pages import register_error_pages
from service.pages.reminders import reminder
from service.pages.sandbox_checkout import sandbox
from service.pages.static_files import files
from service.pages.support import support, support_reminder
from service.pages.thank_you import thank_you

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
