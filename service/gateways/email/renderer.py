"""Writing a letter as a mail: its words, set in the templates of text and HTML, under its headers."""

from collections.abc import Mapping
from email.utils import parseaddr

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from service.domain.money import resolve_locale
from service.domain.ports import Clock, Email, NotificationEmail, RenderedEmail
from service.gateways.email.content import email_language, notification_content, reminder_content
from service.gateways.email.mime import build_message


class EmailRenderer:
    """Turns letters into mails from one sender."""

    def __init__(self, sender: str, clock: Clock) -> None:
        self._sender = sender
        # Without the name: what a server is told, and where it reports to.
        self.sender_address = parseaddr(sender)[1]
        self._clock = clock
        self._templates = Environment(
            loader=PackageLoader("service.gateways", "templates"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            # They come with the program; looking at each file before each mail would only cost time.
            auto_reload=False,
        )

    def render(self, email: Email) -> RenderedEmail:
        """Return the mail: text and HTML, with one-click unsubscribing (RFC 8058) where there is a list to leave.

        Raises:
            ValueError: a header would be forged, such as by a line break in an address.
        """
        lang = email_language(email)
        words: Mapping[str, object]
        if isinstance(email, NotificationEmail):
            words, unsubscribe_url = notification_content(email, lang), None
            button_url, link_url = email.page_url, email.account_url
        else:
            words, unsubscribe_url = reminder_content(email, lang), email.cancel_url
            button_url = email.manage_url if email.is_confirmation_request else email.give_url
            link_url = email.manage_url
        context = {
            **words,
            "lang": lang,
            "direction": resolve_locale(lang).text_direction,
            "campaign": email.campaign_name,
            "button_url": button_url,
            "link_url": link_url,
        }
        content = build_message(
            sender=self._sender,
            to=email.to,
            subject=str(words["subject"]),
            date=self._clock(),
            message_id=email.message_id,
            unsubscribe_url=unsubscribe_url,
            lang=lang,
            text=self._templates.get_template("mail.txt").render(context),
            html=self._templates.get_template("mail.html").render(context),
        )
        return RenderedEmail(message_id=email.message_id, recipient=email.to, content=content)
