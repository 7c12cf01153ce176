"""The export of pledges as a file, streamed while it is read from the database."""

import threading
from collections.abc import Generator
from contextlib import ExitStack
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response
from werkzeug.wsgi import ClosingIterator

from schemas.admin import ExportQuery
from schemas.enums import Scope
from service.api.auth import require_scope, write_audit_log
from service.api.blueprint import ResourceBlueprint
from service.api.problems import ProblemException
from service.db.session import Database
from service.db.time_limits import EXPORT_LIMITS
from service.domain.pledges.export import CONTENT_TYPES, write_export
from service.domain.pledges.queries import PledgeFilter, export_timezone, stream_pledges
from service.web import current_container, transaction

exports = ResourceBlueprint(
    "export", __name__, url_prefix="/v1/admin/pledges", description="Export of pledges as a file."
)

# A running export holds a database connection for as long as its reader takes, so they must leave some for others.
MAX_CONCURRENT_EXPORTS = 2
_free_slots = threading.BoundedSemaphore(MAX_CONCURRENT_EXPORTS)

FILE_SCHEMA = {"type": "string", "format": "binary"}
RESPONSE_CONTENT = {
    content_type.partition(";")[0]: {"schema": FILE_SCHEMA} for content_type in CONTENT_TYPES.values()
}


@exports.route("/export")
@require_scope(Scope.EXPORT)
@exports.arguments(ExportQuery, location="query")
@exports.doc(responses={"200": {"description": "The file.", "content": RESPONSE_CONTENT}})
def export_pledges(query: dict[str, Any]) -> Response:
    """Download pledges with their supporters' addresses; recorded in the audit log before the first byte.

    The column `timezone` names the zone of the times: the campaign's, or `tz`. In CSV and JSON Lines they are
    RFC 3339 with its offset, and in a workbook they are by its clock.
    """
    slot = _take_slot()
    try:
        return _export(query, slot)
    except BaseException:
        slot.close()
        raise


def _take_slot() -> ExitStack:
    """Return a slot to be closed at the end of the export.

    Raises:
        ProblemException: all are taken.
    """
    if not _free_slots.acquire(blocking=False):
        detail = "Other exports are still running; please try again in a moment."
        raise ProblemException(503, "too_many_exports", detail, {"Retry-After": "10"})
    slot = ExitStack()
    slot.callback(_free_slots.release)
    return slot


def _export(query: dict[str, Any], slot: ExitStack) -> Response:
    container = current_container()
    file_format, bom, now = query.pop("format"), query.pop("bom"), container.clock()
    filters = PledgeFilter(**query)
    details = {name: str(value) for name, value in query.items()}
    with transaction() as session:
        write_audit_log(session, "export_pledges", {"format": file_format, **details}, now=now)
        exported_on = now.astimezone(ZoneInfo(export_timezone(session, filters))).date()
    chunks = _stream(container.database, file_format, filters, bom=bom, slot=slot)
    # A failure before the first chunk is answered like that of any other request.
    body = ClosingIterator(chain([next(chunks)], chunks), chunks.close)
    response = Response(body, content_type=CONTENT_TYPES[file_format])
    response.headers["Content-Disposition"] = f'attachment; filename="pledges-{exported_on}.{file_format}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _stream(
    database: Database, file_format: str, filters: PledgeFilter, *, bom: bool, slot: ExitStack
) -> Generator[bytes, None, None]:
    with slot, database.read_only(EXPORT_LIMITS) as session:
        yield from write_export(file_format, stream_pledges(session, filters), bom=bom)
