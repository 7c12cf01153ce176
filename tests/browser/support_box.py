"""A page object for the support box, which finds its elements by their accessible names in any language."""

import re

from playwright.sync_api import Locator, Page, expect

from schemas.translations import load_texts

NOT_READY_BUTTON = "Not ready to support today? Remind me later."
REMIND_BUTTON = "Remind me next month"
REMINDER_SET = "Thank you! Your reminder is set."


class SupportBox:
    """The box on a page. Every locator waits for its element."""

    def __init__(self, page: Page, lang: str = "en") -> None:
        texts = load_texts("widget", lang) | load_texts("offers", lang) | load_texts("reminders", lang)
        self.page = page
        self.host = page.locator("support-box")
        self.frame = self.host.locator(".box")
        self.once, self.monthly, self.annual = (
            self.host.get_by_role("radio", name=texts[name]) for name in ("once", "monthly", "annual")
        )
        self.other_amount = self.host.get_by_label(texts["other_amount"])
        self.currency = self.host.get_by_role("combobox", name=texts["currency"])
        self.fees = self.host.get_by_role("checkbox")
        self.status_message = self.host.locator("form").get_by_role("status")
        self.presets = self.host.get_by_role("group", name=texts["amount_legend"]).get_by_role("radio")
        labels = "|".join(re.escape(texts[name].partition("…")[0]) for name in ("continue", "submitting"))
        self.continue_button = self.host.get_by_role("button", name=re.compile(f"^({labels})"))
        self.submit = self.host.locator("[part=submit]")
        self.not_ready = self.host.get_by_role("button", name=texts["not_ready"])
        self.email = self.host.get_by_label(texts["email"])
        self.when = self.host.get_by_role("combobox", name=texts["reminder_legend"])
        self.remind_later = self.host.get_by_role("button", name=texts["remind_me_later"], exact=True)
        self.remind = self.host.get_by_role("button", name=texts["remind_me_next_month"])
        self.close = self.host.get_by_role("button", name=texts["close"])
        self.retry = self.host.get_by_role("button", name=texts["try_again"])
        self.back = self.host.get_by_role("button", name=texts["back"])
        # What the box says at its top, also to screen readers.
        self.notice = self.host.locator(".box > [role=status]")
        self.heading = self.host.get_by_role("heading")
        self.error = self.host.locator("[part=error]")
        # The newsroom's own link, which is shown while there is no form.
        self.link = self.host.locator("> a")
        self.manage = self.host.get_by_role("link", name=texts["manage_support"])
        self.undo = self.host.get_by_role("button", name=texts["undo"])
        self.expand = self.host.get_by_role("button", name=texts["continue"], exact=True)
        self.dialog = self.host.get_by_role("dialog")
        self.change_address = self.host.get_by_role("button", name=texts["reminder_change"])
        self.calendar = self.host.get_by_role("button", name=texts["reminder_calendar"])

    def expect_state(self, state: str) -> None:
        """Wait until the box is in `state`."""
        expect(self.frame).to_have_attribute("data-state", state)

    def force_click(self, button: Locator) -> None:
        """Click a button that is busy, as an impatient reader does."""
        button.click(force=True)

    def choose(self, frequency: str, amount: str) -> None:
        """Choose a frequency and type an amount."""
        self.host.get_by_role("radio", name=frequency).check()
        self.other_amount.fill(amount)
