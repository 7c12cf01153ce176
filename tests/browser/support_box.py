"""A page object for the support box, which finds its elements by their accessible names."""

import re

from playwright.sync_api import Locator, Page, expect

NOT_READY_BUTTON = "Not ready to support today? Remind me later."
REMIND_BUTTON = "Remind me next month"
REMINDER_SET = "Thank you! Your reminder is set."


class SupportBox:
    """The box on a page. Every locator waits for its element."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.host = page.locator("support-box")
        self.frame = self.host.locator(".box")
        self.once = self.host.get_by_role("radio", name="Once")
        self.monthly = self.host.get_by_role("radio", name="Monthly")
        self.annual = self.host.get_by_role("radio", name="Annual")
        self.other_amount = self.host.get_by_label("Other amount")
        self.currency = self.host.get_by_role("combobox", name="Currency")
        self.fees = self.host.get_by_role("checkbox")
        self.status_message = self.host.locator("form").get_by_role("status")
        self.presets = self.host.get_by_role("group", name="Amount").get_by_role("radio")
        self.continue_button = self.host.get_by_role("button", name=re.compile("^(Continue|Taking you)"))
        self.submit = self.host.locator("[part=submit]")
        self.not_ready = self.host.get_by_role("button", name=NOT_READY_BUTTON)
        self.email = self.host.get_by_label("E-mail address")
        self.when = self.host.get_by_role("combobox", name="When")
        self.remind_later = self.host.get_by_role("button", name="Remind me later", exact=True)
        self.remind = self.host.get_by_role("button", name=REMIND_BUTTON)
        self.close = self.host.get_by_role("button", name="Close")
        self.retry = self.host.get_by_role("button", name="Try again")
        self.back = self.host.get_by_role("button", name="Back")
        self.heading = self.host.get_by_role("heading")
        self.error = self.host.locator("[part=error]")
        self.link = self.host.get_by_role("link")

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
