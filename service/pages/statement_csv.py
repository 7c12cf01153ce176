"""A statement as a CSV file (RFC 4180) for a spreadsheet: one row for each payment, in the reader's language.

Amounts have a decimal point and no currency sign, and days are in ISO format, which every spreadsheet reads.
"""

import csv
import io

from service.domain.money import Money, format_exact_money, format_major_units
from service.domain.notifications.statements import Statement, StatementGroup, StatementLine
from service.domain.pledges.formula_guard import guard_formulas
from service.pages.statement_texts import describe_returns
from service.pages.translations import Texts

# Excel reads a file without this mark in the character set of the computer.
BYTE_ORDER_MARK = "\ufeff"
COLUMNS = (
    "statement_date",
    "statement_number",
    "statement_payee",
    "statement_address",
    "statement_tax",
    "statement_campaign",
    "statement_frequency",
    "statement_currency",
    "statement_paid",
    "statement_returned",
    "statement_net",
    "statement_remarks",
)


def render_statement_csv(statement: Statement, texts: Texts) -> bytes:
    """Return the file, with a header row."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow([texts[name] for name in COLUMNS])
    for group in statement.groups:
        for line in group.lines:
            writer.writerow([guard_formulas(cell) for cell in _cells(group, line, texts)])
    return (BYTE_ORDER_MARK + file.getvalue()).encode()


def _cells(group: StatementGroup, line: StatementLine, texts: Texts) -> list[str]:
    receipt = line.receipt
    remarks = describe_returns(receipt, texts, money=lambda money: format_exact_money(money, texts.lang), date=str)
    return [
        receipt.paid_on.isoformat(),
        receipt.number,
        group.payee,
        ", ".join((group.postal_address or "").splitlines()),
        group.tax_line or "",
        line.campaign,
        texts[receipt.frequency],
        group.currency,
        *(format_major_units(money) for money in _amounts(line)),
        "; ".join([*([texts.statement_test] if group.is_test else []), *remarks]),
    ]


def _amounts(line: StatementLine) -> tuple[Money, Money, Money]:
    return line.receipt.paid, line.returned, line.receipt.net
