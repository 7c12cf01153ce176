"""A reminder on a day that the reader picks in the box."""

import datetime
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import check_page
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.network import record_requests
from tests.browser.support_box import REMINDER_SET, SupportBox
from tests.browser.test_calendar_file import event_date, save

ON_A_DAY = "On a day I choose"


@pytest.fixture
def form(live_server: LiveServer, host_site: HostSite, page: Page, tmp_path: Path) -> SupportBox:
    """Return the box with its reminder form open, of a campaign whose readers may pick a day."""
    live_server.apply_campaign(tmp_path, slug="picked", reminder={"pick_date": True})
    page.goto(host_site.show('campaign="picked"', is_strict=False))
    box = SupportBox(page)
    box.not_ready.click()
    box.expect_state("reminder-form")
    return box


def day_field(box: SupportBox) -> Locator:
    return box.host.get_by_label("Day", exact=True)


def day_after(days: int) -> datetime.date:
    """Return the day that many days from today, by the clock of the page's browser."""
    return datetime.datetime.now(ZoneInfo("Europe/Amsterdam")).date() + datetime.timedelta(days=days)


def test_reader_picks_a_day(form: SupportBox) -> None:
    page, sent = form.page, record_requests(form.page, "/v1/reminders")
    expect(day_field(form)).to_be_hidden()
    form.when.select_option(ON_A_DAY)
    form.email.fill("picked@example.org")
    expect(form.submit).to_have_text("Remind me later")
    day = day_after(40)
    day_field(form).fill(day.isoformat())
    words = f"{day:%B} {day.day}, {day.year}"
    expect(form.submit).to_have_text(f"Remind me on {words}")
    check_page(page, "picked day")
    form.submit.click()
    expect(form.heading).to_have_text(REMINDER_SET)
    expect(form.host).to_contain_text(words)
    [request] = sent.wait_for(1)
    body = request.post_data_json
    assert (body["due_on"], body["page_title"]) == (day.isoformat(), "The ferry did not sail")
    assert not {"months", "repeat"} & body.keys()


@pytest.mark.parametrize("days", [None, 0, -1, 400])
def test_day_that_is_not_offered_is_explained_and_not_sent(form: SupportBox, days: int | None) -> None:
    sent = record_requests(form.page, "/v1/reminders")
    form.when.select_option(ON_A_DAY)
    form.email.fill("picked@example.org")
    field = day_field(form)
    field.fill("" if days is None else day_after(days).isoformat())
    form.submit.click()
    form.expect_state("invalid")
    error = form.host.locator("#day-error")
    expect(error).to_have_text(re.compile(r"^Choose a day from \w+\s\d+,\s\d+ to \w+\s\d+,\s\d+\.$"))
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(error.text_content())
    check_page(form.page, "invalid day")
    # The calendar file needs a day, too.
    form.calendar.click()
    expect(error).to_have_text(re.compile("Choose a day"))
    assert sent == []
    field.fill(day_after(2).isoformat())
    expect(error).to_have_text("")
    form.expect_state("reminder-form")


def test_picked_day_stays_when_the_reader_goes_back(form: SupportBox) -> None:
    form.when.select_option(ON_A_DAY)
    day = day_after(30).isoformat()
    day_field(form).fill(day)
    form.back.click()
    form.not_ready.click()
    expect(day_field(form)).to_have_value(day)
    assert event_date(save(form)).isoformat() == day
    form.when.select_option("Next month")
    expect(day_field(form)).to_be_hidden()
    expect(form.submit).to_have_text("Remind me next month")


def test_other_campaigns_let_no_day_be_picked(host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show())
    box = SupportBox(page)
    box.not_ready.click()
    box.expect_state("reminder-form")
    expect(box.when).to_have_count(0)
    expect(day_field(box)).to_have_count(0)
