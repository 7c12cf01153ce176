"""Renders an email: its content in the text and HTML templates, with its headers."""

from collections.abc import Mapping
from email.utils import parseaddr

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from service.domain.money import resolve_locale
from service.domain.ports import AlertEmail, Clock, Email, NotificationEmail, RenderedEmail
from service.gateways.email.colours import HEADING_FONTS, email_colours
from service.gateways.email.content import bare_url, email_language, notification_content, reminder_content
from service.gateways.email.mime import build_message


class EmailRenderer:
    """Renders emails from one sender."""

    def __init__(self, sender: str, clock: Clock) -> None:
        # Without the display name, for the envelope.
        self.sender_address = parseaddr(sender)[1]
        self._sender = sender
        self._clock = clock
        self._templates = Environment(
            loader=PackageLoader("service.gateways", "templates"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            # Templates do not change at run time, so checking the files for each email would be wasted time.
            auto_reload=False,
        )

    def render(self, email: Email) -> RenderedEmail:
        """Return the email as text and HTML, with one-click unsubscribe (RFC 8058) for reminders.

        Raises:
            ValueError: an input would inject a header, such as an address with a line break.
        """
        if isinstance(email, AlertEmail):
            return self._render_alert(email)
        lang = email_language(email)
        content: Mapping[str, object]
        if isinstance(email, NotificationEmail):
            content, unsubscribe_url = notification_content(email, lang), None
            button_url, link_url = email.page_url, email.invoice_url or email.account_url
            page_url = None
        else:
            content, unsubscribe_url = reminder_content(email, lang), email.cancel_url
            button_url = email.manage_url if email.is_confirmation_request else email.give_url
            link_url = email.manage_url
            page_url = None if email.is_confirmation_request else email.requested_from
        context = {
            **content,
            "lang": lang,
            "direction": resolve_locale(lang).text_direction,
            "campaign": email.campaign_name,
            "brand": email.brand,
            "colours": email_colours(email.brand.accent, email.brand.on_accent),
            "heading_font": HEADING_FONTS[email.brand.heading_font or "serif"],
            "button_url": button_url,
            "link_url": link_url,
            "page_url": page_url and bare_url(page_url),
            "account_url": email.account_url,
        }
        message = build_message(
            sender=self._sender,
            to=email.to,
            subject=str(content["subject"]),
            date=self._clock(),
            message_id=email.message_id,
            unsubscribe_url=unsubscribe_url,
            lang=lang,
            text=self._templates.get_template("mail.txt").render(context),
            html=self._templates.get_template("mail.html").render(context),
        )
        return RenderedEmail(message_id=email.message_id, recipient=email.to, content=message)

    def _render_alert(self, email: AlertEmail) -> RenderedEmail:
        context = {"subject": email.subject, "paragraphs": email.paragraphs}
        message = build_message(
            sender=self._sender,
            to=email.to,
            subject=email.subject,
            date=self._clock(),
            message_id=email.message_id,
            unsubscribe_url=None,
            lang="en",
            text=self._templates.get_template("alert.txt").render(context),
            html=self._templates.get_template("alert.html").render(context),
        )
        return RenderedEmail(message_id=email.message_id, recipient=email.to, content=message)
