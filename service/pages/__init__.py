"""Register the HTML pages in a Flask app."""

from flask import Flask

from service.pages.account import account
from service.pages.account_card import account_card
from service.pages.account_data import account_data
from service.pages.account_email import account_email
from service.pages.account_erase import account_erase
from service.pages.account_frequency import account_frequency
from service.pages.account_invoices import account_invoices
from service.pages.account_pauses import account_pauses
from service.pages.account_pledges import account_pledges
from service.pages.api_docs import ApiMetadata, docs, init_api_metadata
from service.pages.brand import brand
from service.pages.demo import demo
from service.pages.demo_widgets import demo_widgets
from service.pages.dev_outbox import outbox
from service.pages.error_pages import register_error_pages
from service.pages.home import home
from service.pages.receipts import receipts
from service.pages.reminders import reminder_pages
from service.pages.sandbox_checkout import sandbox
from service.pages.statements import statements
from service.pages.static_files import files
from service.pages.support import support
from service.pages.thank_you import thank_you
from service.pages.trailing_slash import redirect_trailing_slash

BLUEPRINTS = (
    home,
    support,
    thank_you,
    sandbox,
    reminder_pages,
    account,
    account_data,
    account_email,
    account_card,
    account_invoices,
    account_frequency,
    account_pauses,
    account_erase,
    account_pledges,
    receipts,
    statements,
    demo,
    demo_widgets,
    docs,
    files,
    brand,
)


def register_pages(app: Flask, metadata: ApiMetadata, *, in_production: bool) -> None:
    """Register every page and the error pages that browsers get instead of problem JSON.

    Nothing under /dev exists in production.
    """
    init_api_metadata(app, metadata)
    for blueprint in BLUEPRINTS if in_production else (*BLUEPRINTS, outbox):
        app.register_blueprint(blueprint)
    app.before_request(redirect_trailing_slash)
    register_error_pages(app)
