"""A statement as a PDF: A4 pages with a title and a language, from right to left where the language is.

The font is part of this package (see `fonts/LICENSE`) and covers every language that there are texts in.
"""

import datetime
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal, cast

from babel.dates import format_skeleton
from fpdf import FPDF
from fpdf.enums import MethodReturnValue, XPos, YPos

from schemas.bidi import is_right_to_left
from service.domain.dates import format_long_date
from service.domain.money import Money, format_exact_money, resolve_locale, strip_format_characters
from service.domain.notifications.receipts import Receipt
from service.domain.notifications.statements import Statement, StatementGroup, StatementLine
from service.pages.statement_texts import describe_returns, heading
from service.pages.translations import Texts

FONT = "DejaVu Sans Condensed"
MARGIN, PAGE_WIDTH = 18.0, 210.0
TEXT_WIDTH = PAGE_WIDTH - 2 * MARGIN
LINE_HEIGHT, ROW_PADDING = 4.6, 1.4
FOOTER_HEIGHT = 18
SMALL, NORMAL, LARGE, HUGE = 8.0, 9.0, 12.0, 20.0
INK, GREY, RULE = 20, 95, 190
# From here on, Unicode has the scripts whose letters are joined or written from right to left.
FIRST_SHAPED_CHARACTER = "\u0590"
LAST_SHAPED_CHARACTER = "\u1fff"

Align = Literal["start", "end"]


@dataclass(frozen=True)
class Column:
    """A column: its start from the reading edge and its width in millimetres, and whether long texts wrap."""

    start: float
    width: float
    align: Align = "start"
    wraps: bool = False


DATE, NUMBER, CAMPAIGN = Column(0, 26), Column(26, 36), Column(62, 31, wraps=True)
TOTAL, REMARK = Column(0, 93), Column(26, TEXT_WIDTH - 26, wraps=True)
PAID, RETURNED, NET = Column(93, 27, "end"), Column(120, 27, "end"), Column(147, 27, "end")
# Between two columns.
GAP = 2.0


def render_statement_pdf(
    statement: Statement, texts: Texts, *, email: str, issued_on: datetime.date, date_lang: str
) -> bytes:
    """Return the PDF. `date_lang` is the language of the texts with the region whose dates it has."""
    document = _Document(texts, date_lang, title=heading(statement.period, texts, today=issued_on))
    document.write_title(statement, email=email, issued_on=issued_on)
    for group in statement.groups:
        document.write_group(group)
    document.write_earlier_returns(statement)
    return document.output_bytes()


class _Document(FPDF):
    """Positions are from the reading edge: the left one, and in Arabic the right one."""

    def __init__(self, texts: Texts, date_lang: str, *, title: str) -> None:
        super().__init__(format="A4")
        self._texts, self._date_lang, self._title = texts, date_lang, title
        self._is_rtl = is_right_to_left(texts.lang)
        self._lines: dict[tuple[str, float, float, bool], list[str]] = {}
        self.set_title(strip_format_characters(title))
        self.set_lang(texts.lang)
        self.set_creator("Mainstay")
        self.set_margin(MARGIN)
        self.c_margin = 0
        self.set_auto_page_break(auto=True, margin=FOOTER_HEIGHT)
        fonts = resources.files("service.pages") / "fonts"
        for style, name in (("", "DejaVuSansCondensed.ttf"), ("B", "DejaVuSansCondensed-Bold.ttf")):
            with resources.as_file(fonts / name) as path:
                self.add_font(FONT, style, path)
        self.add_page()

    def write_title(self, statement: Statement, *, email: str, issued_on: datetime.date) -> None:
        period, texts = statement.period, self._texts
        self._paragraph(self._title, size=HUGE, is_bold=True)
        self.ln(2)
        first, last = self._long_date(period.first), self._long_date(period.last)
        self._paragraph(texts.format("statement_period", first=first, last=last), size=LARGE)
        self.ln(2)
        self._paragraph(texts.format("statement_paid_by", email=email))
        self._paragraph(texts.format("statement_made_on", date=self._long_date(issued_on)))
        self.ln(3)
        self._paragraph(texts.statement_note, size=SMALL, grey=GREY)

    def write_group(self, group: StatementGroup) -> None:
        """Write who was paid, a row for each payment, and the sums."""
        # A heading does not stand alone at the foot of a page.
        if self.will_page_break(40):
            self.add_page()
        self.ln(8)
        self._paragraph(group.payee, size=LARGE, is_bold=True)
        address = (group.postal_address or "").removeprefix(group.payee).strip()
        for text in (address, group.tax_line, self._texts.statement_test if group.is_test else None):
            if text:
                self._paragraph(text, size=SMALL, grey=GREY)
        self.ln(2)
        self._header_row()
        for line in group.lines:
            self._payment_row(line)
        total = self._texts.format("statement_total", currency=group.currency)
        self._row({TOTAL: total}, group.paid, group.returned, group.net, is_bold=True)

    def write_earlier_returns(self, statement: Statement) -> None:
        if not statement.earlier_returns:
            return
        texts = self._texts
        if self.will_page_break(30):
            self.add_page()
        self.ln(8)
        self._paragraph(texts.statement_earlier, size=LARGE, is_bold=True)
        self._paragraph(texts.statement_earlier_note, size=SMALL, grey=GREY)
        self.ln(1)
        for item in statement.earlier_returns:
            returned = texts.format(
                "statement_refunded", amount=self._money(item.money), date=self._date(item.returned_on)
            )
            payment = texts.format(
                "statement_of_payment", date=self._date(item.receipt.paid_on), number=item.receipt.number
            )
            self._paragraph(f"{returned}: {payment}")

    def output_bytes(self) -> bytes:
        return bytes(self.output())

    def footer(self) -> None:
        """Write the number of the page; fpdf2 calls this at the end of each."""
        self.set_y(-FOOTER_HEIGHT + 6)
        self._use_font(SMALL, grey=GREY)
        page = self._texts.format("statement_page", page=str(self.page_no()), pages=self.str_alias_nb_pages)
        self.cell(0, LINE_HEIGHT, self._shaped(page), align="C")

    def _header_row(self) -> None:
        texts = self._texts
        cells = {
            DATE: texts.statement_date,
            NUMBER: texts.statement_number,
            CAMPAIGN: texts.statement_campaign,
            PAID: texts.statement_paid,
            RETURNED: texts.statement_returned,
            NET: texts.statement_net,
        }
        for column, text in cells.items():
            self._cell(column, text, size=SMALL, is_bold=True, grey=GREY)
        self.set_y(self.get_y() + LINE_HEIGHT + ROW_PADDING / 2)
        self._rule()

    def _payment_row(self, line: StatementLine) -> None:
        receipt = line.receipt
        cells = {
            DATE: self._date(receipt.paid_on),
            NUMBER: receipt.number,
            CAMPAIGN: f"{line.campaign}\n{self._texts[receipt.frequency]}",
        }
        self._row(cells, receipt.paid, line.returned, receipt.net, remarks=self._remarks(receipt))

    def _remarks(self, receipt: Receipt) -> list[str]:
        return describe_returns(receipt, self._texts, money=self._money, date=self._date)

    def _row(
        self,
        cells: Mapping[Column, str],
        paid: Money,
        returned: Money,
        net: Money,
        *,
        remarks: Sequence[str] = (),
        is_bold: bool = False,
    ) -> None:
        """Write a row and the line under it; both stay on one page with their remarks."""
        lines = max(len(self._split(text, column, is_bold=is_bold)) for column, text in cells.items())
        remark_lines = sum(len(self._split(text, REMARK, SMALL)) for text in remarks)
        height = (lines + remark_lines) * LINE_HEIGHT + 2 * ROW_PADDING
        if self.will_page_break(height):
            self.add_page()
            self._header_row()
        top = self.get_y() + ROW_PADDING
        self.set_y(top)
        for column, text in cells.items():
            self._cell(column, text, is_bold=is_bold)
        for column, money in ((PAID, paid), (RETURNED, returned), (NET, net)):
            self._cell(column, self._money(money), is_bold=is_bold)
        self.set_y(top + lines * LINE_HEIGHT)
        for remark in remarks:
            self.set_y(self.get_y() + self._cell(REMARK, remark, size=SMALL, grey=GREY))
        self.set_y(self.get_y() + ROW_PADDING)
        self._rule()

    def _cell(
        self, column: Column, text: str, *, size: float = NORMAL, is_bold: bool = False, grey: int = INK
    ) -> float:
        """Write a text into a column from the current height on, without moving; return how high it is."""
        top = self.get_y()
        lines = self._split(text, column, size, is_bold=is_bold)
        self._use_font(size, is_bold=is_bold, grey=grey)
        left = MARGIN + column.start
        if self._is_rtl:
            left = PAGE_WIDTH - left - column.width
        for number, line in enumerate(lines):
            self.set_xy(left, top + number * LINE_HEIGHT)
            shown = self._shaped(line)
            if not column.wraps and (width := self.get_string_width(shown)) > column.width - GAP:
                self.set_font_size(size * (column.width - GAP) / width)
            self.cell(column.width, LINE_HEIGHT, shown, align=self._align(column.align))
        self.set_xy(MARGIN, top)
        return len(lines) * LINE_HEIGHT

    def _paragraph(self, text: str, *, size: float = NORMAL, is_bold: bool = False, grey: int = INK) -> None:
        self._use_font(size, is_bold=is_bold, grey=grey)
        self.set_x(MARGIN)
        height = max(LINE_HEIGHT, size * 0.5)
        self.multi_cell(
            TEXT_WIDTH, height, self._shaped(text), align=self._align("start"), new_x=XPos.LMARGIN, new_y=YPos.NEXT
        )

    def _split(self, text: str, column: Column, size: float = NORMAL, *, is_bold: bool = False) -> list[str]:
        """Return the lines of a text; measuring them takes most of the time, and most long texts repeat."""
        if not column.wraps:
            return [text]
        key = text, column.width, size, is_bold
        if key not in self._lines:
            self._use_font(size, is_bold=is_bold)
            lines = self.multi_cell(
                column.width, LINE_HEIGHT, self._shaped(text), dry_run=True, output=MethodReturnValue.LINES
            )
            self._lines[key] = cast("list[str]", lines)
        return self._lines[key]

    def _shaped(self, text: str) -> str:
        """Turn the shaping on for a text that needs it, which takes as long again, and return the text.

        Its direction is that of its first letter, so that a name keeps its full stop. Other texts are written from
        left to right.
        """
        shaped = [char for char in text if FIRST_SHAPED_CHARACTER <= char <= LAST_SHAPED_CHARACTER]
        if not shaped:
            self.set_text_shaping(False)
            return strip_format_characters(text)
        letters = [unicodedata.bidirectional(char) for char in text if char.isalpha()]
        is_rtl = letters[0] in ("R", "AL")
        self.set_text_shaping(True, direction="rtl" if is_rtl else None)
        return text

    def _rule(self) -> None:
        self.set_draw_color(RULE)
        self.line(MARGIN, self.get_y(), PAGE_WIDTH - MARGIN, self.get_y())

    def _use_font(self, size: float, *, is_bold: bool = False, grey: int = INK) -> None:
        self.set_font(FONT, "B" if is_bold else "", size)
        self.set_text_color(grey)

    def _align(self, align: Align) -> str:
        return "L" if (align == "start") != self._is_rtl else "R"

    def _money(self, money: Money) -> str:
        return format_exact_money(money, self._texts.lang)

    def _date(self, day: datetime.date) -> str:
        return str(format_skeleton("yMMMd", day, locale=resolve_locale(self._date_lang)))

    def _long_date(self, day: datetime.date) -> str:
        return format_long_date(day, self._date_lang)
