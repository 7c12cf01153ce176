"""Hanging the pages into an app."""

from flask import Flask

from service.pages.api_facts import ApiFacts, put_api_facts
from service.pages.demo import demo
from service.pages.docs import docs
from service.pages.files import files
from service.pages.me import me
from service.pages.outbox import outbox
from service.pages.own_support import own_support
from service.pages.pledge_amount import pledge_amount
from service.pages.pledge_page import pledge_page
from service.pages.reminder import reminder
from service.pages.sandbox import sandbox
from service.pages.support import support
from service.pages.support_reminder import support_reminder
from service.pages.thank_you import thank_you
from service.pages.trouble import show_problems_as_pages

OF_READERS = (me, own_support, pledge_page, pledge_amount)
PAGES = (support, support_reminder, thank_you, sandbox, reminder, *OF_READERS, demo, outbox, docs, files)


def register_pages(app: Flask, facts: ApiFacts) -> None:
    """Register every page, and show refusals as pages to those who would rather read them."""
    put_api_facts(app, facts)
    for blueprint in PAGES:
        app.register_blueprint(blueprint)
    show_problems_as_pages(app)
