"""The data of a supporter on the account page: download all of it."""

import datetime
import tempfile
import uuid
from collections.abc import Mapping

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from werkzeug.wsgi import FileWrapper

from service.db.time_limits import EXPORT_LIMITS
from service.domain.dates import format_long_date
from service.domain.privacy.own_data import SECTIONS
from service.domain.privacy.own_data_archive import write_archive
from service.domain.sign_in import end_session, is_recent_session, request_sign_in
from service.domain.staff import write_audit_entry
from service.domain.supporters import get_address
from service.pages.brand import default_brand
from service.pages.csrf import reject_cross_site_requests
from service.pages.outcomes import outcome_url
from service.pages.rendering import render_page, sender_name
from service.pages.session_cookie import clear_session_cookie, current_supporter_id, session_token
from service.pages.translations import Texts, default_texts
from service.web import check_rate_limit, current_container, read_only, transaction

# A larger archive is in a temporary file, which has no name and vanishes with the response.
MAX_BYTES_IN_MEMORY = 1024 * 1024
READER = "reader"

account_data = Blueprint("account_data", __name__)
account_data.before_request(reject_cross_site_requests)


@account_data.get("/me/data")
def show_data() -> BaseResponse:
    """Show what a signed-in supporter can do with their data."""
    with read_only() as session:
        supporter_id = current_supporter_id(session)
        is_recent = is_recent_session(session, session_token(), now=current_container().clock())
    return _to_account() if supporter_id is None else _render(is_recent=is_recent)


@account_data.post("/me/data/download")
def download() -> BaseResponse:
    """Send everything that is stored about the supporter as a ZIP file; recorded in the audit log before."""
    container, texts = current_container(), default_texts()
    now = container.clock()
    with read_only() as session:
        supporter_id = current_supporter_id(session)
        is_recent = is_recent_session(session, session_token(), now=now)
    if supporter_id is None:
        return _to_account()
    if not is_recent:
        return _render(is_recent=False, status=403)
    check_rate_limit("reader")
    container.rate_limiter.check("data_download_by_supporter", str(supporter_id))
    with transaction() as session:
        details = {"supporter": str(supporter_id)}
        write_audit_entry(session, actor=READER, action="download_own_data", details=details, now=now)
    response = Response(_archive(supporter_id, texts, now=now), content_type="application/zip")
    # Neither the name nor the address of the supporter.
    response.headers["Content-Disposition"] = f'attachment; filename="my-data-{now.date()}.zip"'
    response.headers["Cache-Control"] = "no-store"
    return response


@account_data.post("/me/data/sign-in")
def sign_in_again() -> BaseResponse:
    """End the session and send its supporter a new sign-in link."""
    check_rate_limit("sign_in")
    container, texts = current_container(), default_texts()
    with transaction() as session:
        supporter_id = current_supporter_id(session)
        address = None if supporter_id is None else get_address(session, supporter_id)
        if address is not None:
            request_sign_in(session, address, lang=texts.lang, now=container.clock())
            # A link does not start another session while one of the same supporter is valid.
            end_session(session, session_token())
    sent = None if address is None else "yes"
    response = redirect(outcome_url(url_for("account.show_account"), {"sent": sent}, ends_session=True), 303)
    clear_session_cookie(response)
    return response


def _archive(supporter_id: uuid.UUID, texts: Texts, *, now: datetime.datetime) -> FileWrapper:
    """Return the archive, complete, so that nobody who reads it slowly holds a database connection."""
    file = tempfile.SpooledTemporaryFile(MAX_BYTES_IN_MEMORY)  # noqa: SIM115 - the response closes it
    try:
        with current_container().database.read_only(EXPORT_LIMITS, snapshot=True) as session:
            write_archive(
                file, session, supporter_id, readme=lambda counts: _readme(counts, texts, now.date()), now=now
            )
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return FileWrapper(file)


def _readme(counts: Mapping[str, int], texts: Texts, today: datetime.date) -> str:
    """Return the text that says what is what, in the reader's language."""
    site = sender_name()
    sections = [f"{name} ({counts[name]})\n{texts[f'readme_{name}']}" for name in (each.name for each in SECTIONS)]
    return "\n\n".join(
        (
            texts.format("readme_title", site=site, date=format_long_date(today, texts.lang)),
            texts.format("readme_intro", site=site),
            texts.readme_format,
            texts.readme_files_title,
            *sections,
            texts.readme_left_out_title,
            texts.readme_left_out,
        )
    )


def _render(*, is_recent: bool, status: int = 200) -> Response:
    response = render_page(
        "account_data.html",
        default_texts(),
        status=status,
        sender_name=sender_name(),
        brand=default_brand(),
        is_recent=is_recent,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _to_account() -> BaseResponse:
    return redirect(url_for("account.show_account", lang=request.args.get("lang")), 303)
