"""Writing a letter as a mail: its words, set in the templates of text and HTML, under its headers."""

from collections.abc import Mapping
from email.utils import parseaddr

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from service.domain.money.currencies import resolve_locale
from service.domain.ports import Clock, Letter, Mail, NoticeLetter
from service.gateways.mail_words import language_of, words_of
from service.gateways.mime import write_message
from service.gateways.notice_words import notice_words


class LetterWriter:
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

    def write(self, letter: Letter) -> Mail:
        """Return the mail: text and HTML, with one-click unsubscribing (RFC 8058) where there is a list to leave.

        Raises:
            ValueError: a header would be forged, such as by a line break in an address.
        """
        lang = language_of(letter)
        words: Mapping[str, object]
        if isinstance(letter, NoticeLetter):
            words, unsubscribe_url = notice_words(letter, lang), None
            button_url, link_url = letter.page_url, letter.readers_page_url
        else:
            words, unsubscribe_url = words_of(letter, lang), letter.cancel_url
            button_url = letter.manage_url if letter.asks_to_confirm else letter.give_url
            link_url = letter.manage_url
        view = {
            **words,
            "lang": lang,
            "direction": resolve_locale(lang).text_direction,
            "campaign": letter.campaign_name,
            "button_url": button_url,
            "link_url": link_url,
        }
        content = write_message(
            sender=self._sender,
            to=letter.to,
            subject=str(words["subject"]),
            date=self._clock(),
            message_id=letter.message_id,
            unsubscribe_url=unsubscribe_url,
            lang=lang,
            text=self._templates.get_template("mail.txt").render(view),
            html=self._templates.get_template("mail.html").render(view),
        )
        return Mail(message_id=letter.message_id, recipient=letter.to, content=content)
