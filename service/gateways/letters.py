"""Writing a letter as a mail: text and HTML from templates, and the headers that mail programs act on."""

from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from babel.dates import format_date
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from schemas.texts import choose_language, texts_in
from service.domain.currencies import find_locale
from service.domain.money import format_money
from service.domain.ports import Clock, ReminderLetter


class LetterWriter:
    """Turns letters into messages from one sender."""

    def __init__(self, sender: str, clock: Clock) -> None:
        self._sender = sender
        self._clock = clock
        self._templates = Environment(
            loader=PackageLoader("service.gateways", "templates"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def write(self, letter: ReminderLetter) -> EmailMessage:
        """Return the message: RFC 5322, multipart/alternative, with one-click unsubscribing (RFC 8058).

        Raises:
            ValueError: a header would be forged, such as by a line break in an address.
        """
        lang = choose_language(letter.lang, (), default="en")
        words = self._words(letter, lang)
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = letter.to
        message["Subject"] = words["subject"]
        message["Date"] = format_datetime(self._clock())
        message["Message-ID"] = letter.message_id
        message["List-Unsubscribe"] = f"<{letter.cancel_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message["Auto-Submitted"] = "auto-generated"
        message["Content-Language"] = lang
        view = {"letter": letter, "words": words, "lang": lang, "sender": parseaddr(self._sender)[1]}
        message.set_content(self._templates.get_template("reminder.txt").render(view))
        message.add_alternative(self._templates.get_template("reminder.html").render(view), subtype="html")
        return message

    def _words(self, letter: ReminderLetter, lang: str) -> dict[str, str]:
        """Return every text of the letter with its names, dates and amounts filled in."""
        filled = {
            "campaign": letter.campaign_name,
            "heading": letter.campaign_heading,
            "date": format_date(letter.asked_on, format="long", locale=find_locale(lang)),
            "page": letter.asked_where or "",
            "amount": "" if letter.money is None else format_money(letter.money, lang),
        }
        said = {letter.lang: letter.texts, lang: letter.texts}
        texts = texts_in("mails", lang, said)
        return {name.removeprefix("mail_"): text.format_map(filled) for name, text in texts.items()}
