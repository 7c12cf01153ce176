"""Statements of what a signed-in supporter paid: choose a year or other days, and download a PDF or CSV file."""

import datetime
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, redirect, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from service.domain.dates import format_long_date
from service.domain.errors import CampaignNotFound
from service.domain.money import regional_language
from service.domain.notifications.statements import Period, Statement, load_statement, years_with_payments
from service.domain.notifications.yearly_receipts import choose_receipts, wants_yearly_receipts
from service.domain.supporters import get_address
from service.pages.brand import default_brand, default_campaign
from service.pages.csrf import reject_cross_site_requests
from service.pages.form_errors import FieldError
from service.pages.outcomes import outcome, outcome_url
from service.pages.rendering import render_page, sender_name
from service.pages.session_cookie import current_supporter_id
from service.pages.statement_csv import render_statement_csv
from service.pages.translations import Texts, default_texts
from service.web import check_rate_limit, current_container, read_only, transaction

PDF, CSV = "pdf", "csv"
CONTENT_TYPES = {PDF: "application/pdf", CSV: "text/csv; charset=utf-8"}

EXAMPLE = "2026-01-31"
YEARLY = "yearly"

statements = Blueprint("statements", __name__)
statements.before_request(reject_cross_site_requests)


@dataclass(frozen=True)
class FormProblem(Exception):
    """The days cannot be used: the field to correct, and the message."""

    field: str
    message: str


@statements.post("/me/statements/receipts")
def choose_receipt_emails() -> BaseResponse:
    """Store whether receipts come after each payment or once a year."""
    check_rate_limit("reader")
    with transaction() as session:
        supporter_id = current_supporter_id(session)
        if supporter_id is not None:
            choose_receipts(session, supporter_id, yearly=request.form.get("receipts") == YEARLY)
    saved = None if supporter_id is None else "yes"
    return redirect(outcome_url(url_for(".show_statements"), {"saved": saved}), 303)


@statements.get("/me/statements")
def show_statements() -> BaseResponse:
    """Show the years with payments and a form for other days; with `format`, return the file of a period."""
    texts, query = default_texts(), request.args
    file_format = query.get("format")
    if file_format in CONTENT_TYPES:
        check_rate_limit("reader")
    with read_only() as session:
        supporter_id = current_supporter_id(session)
        if supporter_id is None:
            return redirect(url_for("account.show_account", lang=query.get("lang")), 303)
        if file_format not in CONTENT_TYPES:
            return _render(session, supporter_id, texts)
        try:
            period = parse_period(query, texts)
        except FormProblem as problem:
            error = FieldError(field=problem.field, message=problem.message, status=422)
            return _render(session, supporter_id, texts, field_error=error)
        statement = load_statement(session, supporter_id, period)
        if not statement.groups and not statement.earlier_returns:
            first, last = (format_long_date(day, _date_language(texts)) for day in (period.first, period.last))
            message = texts.format("statements_empty", first=first, last=last)
            return _render(session, supporter_id, texts, message=message)
        email = get_address(session, supporter_id) or ""
    return _file(statement, texts, file_format, email=email)


def parse_period(query: Mapping[str, str], texts: Texts) -> Period:
    """Return the period of a query: the `year`, else the days from `from` to `to`.

    Raises:
        FormProblem: a day is missing or unreadable, or the first is after the last.
    """
    year = query.get("year", "")
    if re.fullmatch(r"[0-9]{4}", year) and int(year) >= datetime.MINYEAR:
        return Period.of_year(int(year))
    days = []
    for field, name in (("from", "statements_first_missing"), ("to", "statements_last_missing")):
        try:
            days.append(datetime.date.fromisoformat(query.get(field, "").strip()))
        except ValueError:
            raise FormProblem(field, texts.format(name, example=EXAMPLE)) from None
    first, last = days
    if last < first:
        shown = format_long_date(first, _date_language(texts))
        raise FormProblem("to", texts.format("statements_order", first=shown))
    return Period(first, last)


def _render(
    session: Session,
    supporter_id: uuid.UUID,
    texts: Texts,
    *,
    field_error: FieldError | None = None,
    message: str | None = None,
) -> Response:
    response = render_page(
        "statements.html",
        texts,
        status=field_error.status if field_error else 200,
        sender_name=sender_name(),
        brand=default_brand(),
        years=[_year_link(year, texts) for year in years_with_payments(session, supporter_id)],
        first=request.args.get("from", "")[:10],
        last=request.args.get("to", "")[:10],
        today=_today().isoformat(),
        field_error=field_error,
        message=texts.statements_receipts_saved if "saved" in outcome() else message,
        wants_yearly=wants_yearly_receipts(session, supporter_id),
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _year_link(year: int, texts: Texts) -> tuple[int, str]:
    """Return a year and its label, which says that the present one is not over."""
    is_over = year < _today().year
    return year, str(year) if is_over else texts.format("statements_so_far", year=str(year))


def _file(statement: Statement, texts: Texts, file_format: str, *, email: str) -> Response:
    if file_format == PDF:
        # Importing the library takes a while, so only a process that writes a PDF does.
        from service.pages.statement_pdf import render_statement_pdf

        content = render_statement_pdf(
            statement, texts, email=email, issued_on=_today(), date_lang=_date_language(texts)
        )
    else:
        content = render_statement_csv(statement, texts)
    response = Response(content, content_type=CONTENT_TYPES[file_format])
    response.headers["Content-Disposition"] = f'attachment; filename="{_file_name(statement)}.{file_format}"'
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _file_name(statement: Statement) -> str:
    period = statement.period
    return f"statement-{period.year or f'{period.first}-{period.last}'}"


def _today() -> datetime.date:
    """Return the day at the newsroom, by the zone of its default campaign."""
    with suppress(CampaignNotFound):
        return current_container().clock().astimezone(ZoneInfo(default_campaign().timezone)).date()
    return current_container().clock().date()


def _date_language(texts: Texts) -> str:
    """Return the page's language, with the newsroom's region if that is the same language."""
    with suppress(CampaignNotFound):
        return regional_language(texts.lang, default_campaign().lang)
    return texts.lang
