"""Every kind of email as it is rendered, each with a function that opens it in a page."""

import dataclasses
from collections.abc import Callable, Iterator

from playwright.sync_api import Page

from service.domain.ports import NotificationEmail, ReminderEmail
from tests.gateways.emails import parse
from tests.gateways.test_email_html import EMAILS, RENDERER, name_of


def email_states(lang: str) -> Iterator[tuple[str, Callable[[Page], None]]]:
    """Yield the name and opener of each kind and variant of email."""
    counts: dict[str, int] = {}
    for email in EMAILS:
        name = name_of(email)
        counts[name] = number = counts.get(name, 0) + 1
        yield name if number == 1 else f"{name}-{number}", _opener(email, lang)


def _opener(email: ReminderEmail | NotificationEmail, lang: str) -> Callable[[Page], None]:
    def open_email(page: Page) -> None:
        body = parse(RENDERER.render(dataclasses.replace(email, lang=lang))).get_body(("html",))
        assert body is not None
        page.set_content(body.get_content())

    return open_email
