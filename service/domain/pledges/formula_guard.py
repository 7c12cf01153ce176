"""Protection of CSV cells against formula injection (OWASP, "CSV injection").

A spreadsheet runs a cell that begins with a formula sign. Which characters end a cell is the choice of the person
who opens the file: in LibreOffice a comma, a semicolon, a tab or a bar, whatever the file was written with. A sign
is therefore guarded after each of them, too.
"""

import re

# Excel reads the full-width signs of East Asian keyboards as the plain ones.
FORMULA_SIGNS = "=+-@＝＋－＠﹦﹢﹣﹫"
CELL_SEPARATORS = ",;\t|\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"
# Characters that show nothing: controls, formats, fillers and variation selectors.
INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff"
)
# What a spreadsheet drops or may drop before a cell's text. A quotation mark may open the cell.
_BLANK = rf"[^\S{CELL_SEPARATORS}]|[{INVISIBLE}\"]"
_SIGN = f"[{re.escape(FORMULA_SIGNS)}]"
_UNGUARDED_SIGN = re.compile(rf"^(?=[\t\r\n])|(^|[{CELL_SEPARATORS}])(?=(?:{_BLANK})*{_SIGN})")
# Almost every text is one cell that begins with something else. This finds it in a tenth of the time.
_HARMLESS = re.compile(rf"(?!{_SIGN}|{_BLANK})[^{CELL_SEPARATORS}]+")


def guard_formulas(text: str) -> str:
    """Return text with an apostrophe before everything that a spreadsheet would run as a formula."""
    if _HARMLESS.fullmatch(text):
        return text
    return _UNGUARDED_SIGN.sub(lambda match: f"{match[1] or ''}'", text)
