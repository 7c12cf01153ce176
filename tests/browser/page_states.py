"""Every state of the pages, each with a function that opens it in any language, and the text of its heading."""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page

from schemas.translations import NAMESPACES, load_texts
from tests.browser.live_server import LiveServer
from tests.browser.network import SUPPORT_SCRIPT
from tests.browser.support_box import SupportBox


@dataclass
class Visit:
    """A page, the language of its browser, the service it shows, and the URL of a reminder that was sent."""

    page: Page
    live_server: LiveServer
    reminder_url: str
    lang: str = "en"

    def press(self, button: str) -> None:
        """Press a button that submits a form, found by a selector, and wait for the next page."""
        with self.page.expect_navigation():
            self.page.locator(button).first.click()

    def open_checkout(self) -> None:
        self.page.goto(self.live_server.create_pledge(str(uuid.uuid4()), lang=self.lang)["checkout_url"])

    def open_reminder(self) -> None:
        self.page.goto(f"{self.reminder_url}?lang={self.lang}")


def heading_pattern(name: str, lang: str) -> re.Pattern[str]:
    """Return a pattern for the text with this name; its placeholders may be anything."""
    texts = {name: text for namespace in NAMESPACES for name, text in load_texts(namespace, lang).items()}
    parts = re.split(r"\{\w+\}", texts[name])
    return re.compile(f"^{'.+'.join(re.escape(part) for part in parts)}$")


def support(visit: Visit) -> None:
    visit.page.goto("/support/default")


def support_with_reminder_form(visit: Visit) -> None:
    support(visit)
    visit.page.locator("#remind > summary").click()


def support_with_amount_to_correct(visit: Visit) -> None:
    support(visit)
    visit.page.locator("[name=other_amount]").fill("12,50")
    visit.page.locator("[data-continue]").click()


def support_with_invalid_amount(visit: Visit) -> None:
    # The script would explain the error before anything is sent.
    visit.page.route(SUPPORT_SCRIPT, lambda route: route.abort())
    support(visit)
    visit.page.locator("[name=other_amount]").fill("12,50")
    visit.page.locator(".gift .main-button").first.click()
    visit.page.locator("[aria-invalid=true]").wait_for()


def support_with_invalid_address(visit: Visit) -> None:
    support_with_reminder_form(visit)
    visit.page.locator("#remind [name=email]").fill("reader")
    visit.press("#remind .main-button")


def reminder_created(visit: Visit) -> None:
    support_with_reminder_form(visit)
    visit.page.locator("#remind [name=email]").fill("tidy@example.org")
    visit.press("#remind .main-button")


def checkout(visit: Visit) -> None:
    visit.open_checkout()


def checkout_with_invalid_address(visit: Visit) -> None:
    visit.open_checkout()
    visit.page.locator("[name=email]").fill("reader")
    visit.press("[value=pay]")


def checkout_declined(visit: Visit) -> None:
    visit.open_checkout()
    visit.press("[value=decline]")


def checkout_paid(visit: Visit) -> None:
    visit.open_checkout()
    checkout_url = visit.page.url
    visit.press("[value=pay]")
    visit.page.goto(checkout_url)


def checkout_expired(visit: Visit) -> None:
    visit.open_checkout()
    visit.live_server.close_checkouts()
    visit.page.reload()


def thank_you(visit: Visit) -> None:
    visit.open_checkout()
    visit.press("[value=pay]")


def thank_you_once(visit: Visit) -> None:
    pledge = visit.live_server.create_pledge(
        str(uuid.uuid4()),
        lang=visit.lang,
        frequency="once",
        amount=1500,
        page_url=f"{visit.live_server.base_url}/demo",
    )
    visit.page.goto(pledge["checkout_url"])
    visit.page.locator("[name=email]").fill("once@example.org")
    visit.press("[value=pay]")


def not_charged(visit: Visit) -> None:
    visit.open_checkout()
    with visit.page.expect_navigation():
        visit.page.locator("a[href*='/not-charged']").click()


def thank_you_pending(visit: Visit) -> None:
    pledge = visit.live_server.create_pledge(str(uuid.uuid4()), lang=visit.lang)
    visit.page.goto(f"/support/default/thank-you?pledge={pledge['id']}")


def thank_you_expired(visit: Visit) -> None:
    thank_you_pending(visit)
    visit.live_server.close_checkouts()
    visit.page.reload()


def reminder_sent(visit: Visit) -> None:
    visit.open_reminder()


def reminder_scheduled(visit: Visit) -> None:
    visit.open_reminder()
    visit.press("form[action*='/snooze'] button")


def reminder_cancelled(visit: Visit) -> None:
    reminder_scheduled(visit)
    visit.press("form[action*='/cancel'] button")


def reminder_unknown(visit: Visit) -> None:
    visit.page.goto("/r/no-such-reminder")


def demo(visit: Visit) -> None:
    visit.page.goto("/demo")
    SupportBox(visit.page).expect_state("form")


def demo_in_russian(visit: Visit) -> None:
    visit.page.goto("/demo?lang=ru")
    SupportBox(visit.page).expect_state("form")


def demo_widgets(visit: Visit) -> None:
    visit.page.goto("/demo/widgets")


def outbox(visit: Visit) -> None:
    visit.page.goto("/dev/outbox")


def outbox_email(visit: Visit) -> None:
    visit.page.goto(visit.live_server.emails_to("subscriber@example.org")[-1])


def docs(visit: Visit) -> None:
    visit.page.goto("/docs")


def not_found(visit: Visit) -> None:
    visit.page.goto("/no-such-page")


# The campaign's own heading stands on the support page, and the English one on pages for operators and developers.
STATES: list[tuple[Callable[[Visit], None], str | None]] = [
    (support, None),
    (support_with_reminder_form, None),
    (support_with_amount_to_correct, None),
    (support_with_invalid_amount, None),
    (support_with_invalid_address, None),
    (reminder_created, "reminder_set"),
    (checkout, None),
    (checkout_with_invalid_address, None),
    (checkout_declined, None),
    (checkout_paid, "sandbox_paid_title"),
    (checkout_expired, "sandbox_expired_title"),
    (thank_you, "thanks_given"),
    (thank_you_once, "thanks_given"),
    (not_charged, "not_charged_title"),
    (thank_you_pending, "thanks_pending_title"),
    (thank_you_expired, "thanks_expired_title"),
    (reminder_sent, "reminder_sent_title"),
    (reminder_scheduled, "reminder_scheduled_title"),
    (reminder_cancelled, "reminder_cancelled_title"),
    (reminder_unknown, "trouble_reminder_not_found_title"),
    (demo, None),
    (demo_in_russian, None),
    (demo_widgets, None),
    (outbox, None),
    (outbox_email, None),
    (docs, None),
    (not_found, "trouble_404_title"),
]
