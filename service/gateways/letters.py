"""Writing a letter as a mail: text and HTML from templates, and the headers that mail programs act on."""

from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime

from babel.dates import format_date
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from schemas.texts import choose_language, texts_in
from service.domain.currencies import find_locale
from service.domain.money import format_money
from service.domain.ports import Clock, ReminderLetter

LONGEST_PAGE_NAME = 200
# RFC 5322, section 2.1.1.
LONGEST_LINE = 998


class WholeAddresses(EmailPolicy):
    """The library's modern rules, but headers that hold one address keep it on one line.

    It would break a long one into encoded words, and no mail program looks for an address inside those
    (RFC 2047, section 5), so that the button for one-click unsubscribing would be missing.
    """

    def fold(self, name: str, value: str) -> str:
        """Return a header as text."""
        return self._on_one_line(name, value) or super().fold(name, value)

    def fold_binary(self, name: str, value: str) -> bytes:
        """Return a header as bytes."""
        whole = self._on_one_line(name, value)
        return super().fold_binary(name, value) if whole is None else whole.encode()

    def _on_one_line(self, name: str, value: str) -> str | None:
        line = f"{name}: {value}"
        held = name in ("List-Unsubscribe", "Message-ID") and value.isascii() and len(line) <= LONGEST_LINE
        return line + self.linesep if held else None


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
        # What the campaign says in a language of its own makes it a language that we write.
        own = (letter.lang,) if letter.texts else ()
        lang = choose_language(letter.lang, own, default="en")
        words = self._words(letter, lang)
        message = EmailMessage(policy=WholeAddresses())
        message["From"] = self._sender
        message["To"] = letter.to
        # A campaign may word the subject itself, over several lines; a header has one.
        message["Subject"] = " ".join(words["subject"].split())
        message["Date"] = format_datetime(self._clock())
        message["Message-ID"] = letter.message_id
        message["List-Unsubscribe"] = f"<{letter.cancel_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message["Auto-Submitted"] = "auto-generated"
        view = {"letter": letter, "words": words, "lang": lang, "direction": find_locale(lang).text_direction}
        # Quoted-printable passes every server as it is, and stays readable to whoever looks at the source.
        message.set_content(self._templates.get_template("reminder.txt").render(view), cte="quoted-printable")
        message.add_alternative(
            self._templates.get_template("reminder.html").render(view), subtype="html", cte="quoted-printable"
        )
        # Only now: what describes content moves into the first part when a second one is added.
        message["Content-Language"] = lang
        return message

    def _words(self, letter: ReminderLetter, lang: str) -> dict[str, str]:
        """Return every text of the letter with its names, dates and amounts filled in.

        `asked` names the page if it is known, and `give` the choice if one was made.
        """
        filled = {
            "campaign": letter.campaign_name,
            "heading": letter.campaign_heading,
            "date": format_date(letter.asked_on, format="long", locale=find_locale(lang)),
            "page": page_name(letter.asked_where or ""),
            "amount": "" if letter.money is None else format_money(letter.money, lang),
        }
        said = {letter.lang: letter.texts, lang: letter.texts}
        texts = texts_in("mails", lang, said)
        words = {name.removeprefix("mail_"): text.format_map(filled) for name, text in texts.items()}
        knows_choice = letter.money is not None and letter.frequency is not None
        words["give"] = words[f"give_{letter.frequency}" if knows_choice else "give_any"]
        words["asked"] = words["asked_on_page" if letter.asked_where else "asked"]
        return words


def page_name(url: str) -> str:
    """Return a page's address without its query and fragment, which may be the reader's own, and not too long."""
    bare = url.partition("#")[0].partition("?")[0]
    return bare if len(bare) <= LONGEST_PAGE_NAME else f"{bare[:LONGEST_PAGE_NAME]}…"
