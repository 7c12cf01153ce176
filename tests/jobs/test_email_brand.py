"""Emails have the look of their campaign, and its own line in reminders."""

from sqlalchemy import update

from schemas.enums import EmailKind
from service.container import Container
from service.db.models.campaign import Campaign
from service.domain.campaigns.brand import NewImage, email_image_name, store_images
from service.domain.ports import EmailBrand, EmailLogo
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.fake_mailer import READER, FakeMailer, run_send_reminders
from tests.jobs.notifications import enqueue, run

LOGO = NewImage(name=f"{'a' * 32}-640x100.svg", content=b"<svg/>", email_png=b"png")
ADDRESS = "1 Quay\nPort Ellis"
BRAND = {"logo": LOGO.name, "accent": "#ffdd00", "heading_font": "sans", "postal_address": ADDRESS}


def set_campaign(container: Container, **columns: object) -> None:
    with container.database.transaction() as session:
        store_images(session, (LOGO,), now=container.clock())
        session.execute(update(Campaign).values(**columns))


def test_reminders_and_notifications_have_the_brand_of_their_campaign(
    container: Container, clock: FakeClock
) -> None:
    set_campaign(container, brand=BRAND)
    enqueue(container, EmailKind.RECEIPT)
    create_reminder(container, "later@news.example")
    mailer = FakeMailer()
    run(container, mailer)
    clock.advance(days=32)
    run_send_reminders(container, mailer)
    logo = EmailLogo(
        url=f"{container.urls.public_url}/brand/images/{email_image_name(LOGO.name)}", width=280, height=44
    )
    brand = EmailBrand(logo=logo, accent="#ffdd00", heading_font="sans", postal_address=ADDRESS)
    assert [email.brand for email in mailer.sent] == [brand, brand]


def test_campaign_without_a_brand_sends_emails_without_one(container: Container) -> None:
    set_campaign(container, brand={})
    enqueue(container, EmailKind.RECEIPT)
    mailer = FakeMailer()
    run(container, mailer)
    assert [email.brand for email in mailer.sent] == [EmailBrand()]


def test_reminder_has_the_note_of_its_campaign_in_its_language(container: Container, clock: FakeClock) -> None:
    set_campaign(container, texts={"en": {"reminder_note": "The council has voted."}})
    create_reminder(container, READER)
    create_reminder(container, "other@news.example", lang="ru")
    clock.advance(days=32)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    notes = {email.lang: email.texts.get("reminder_note") for email in mailer.sent}
    assert notes == {"en": "The council has voted.", "ru": None}
