"""Lists of pledges and reminders for staff, the retry of a failed reminder, and the summary."""

import uuid
from typing import Any

from schemas.admin import PledgePage, SummaryResponse
from schemas.enums import Scope
from schemas.pledge import PageQuery, PledgeQuery
from schemas.reminder import ReminderPage, ReminderQuery, ReminderResponse
from service.api.auth import require_scope, write_audit_log
from service.api.blueprint import ResourceBlueprint
from service.domain.monitoring.summary import build_summary
from service.domain.pagination import Page
from service.domain.pledges import queries as pledge_queries
from service.domain.pledges.queries import PledgeFilter
from service.domain.reminders import queries as reminder_queries
from service.domain.reminders import queue as reminder_queue
from service.domain.reminders.queries import ReminderFilter
from service.domain.reminders.reminders import ReminderResult, reminder_result
from service.web import current_container, read_only, transaction

admin_reports = ResourceBlueprint("staff", __name__, url_prefix="/v1/admin", description="Reports for staff.")


class PledgeListQuery(PledgeQuery, PageQuery):
    """Filters and pagination of the pledge list."""


class ReminderListQuery(ReminderQuery, PageQuery):
    """Filters and pagination of the reminder list."""


@admin_reports.route("/pledges")
@require_scope(Scope.READ)
@admin_reports.arguments(PledgeListQuery, location="query")
@admin_reports.response(200, PledgePage)
def list_pledges(query: dict[str, Any]) -> Page:
    """List pledges, newest first."""
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    with read_only() as session:
        return pledge_queries.list_pledges(session, PledgeFilter(**query), limit=limit, cursor=cursor)


@admin_reports.route("/reminders")
@require_scope(Scope.READ)
@admin_reports.arguments(ReminderListQuery, location="query")
@admin_reports.response(200, ReminderPage)
def list_reminders(query: dict[str, Any]) -> Page:
    """List reminders, newest first."""
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    with read_only() as session:
        return reminder_queries.list_reminders(session, ReminderFilter(**query), limit=limit, cursor=cursor)


@admin_reports.route("/reminders/<uuid:reminder_id>/retry", methods=["POST"])
@require_scope(Scope.MANAGE)
@admin_reports.response(200, ReminderResponse)
def retry_reminder(reminder_id: uuid.UUID) -> ReminderResult:
    """Retry a failed reminder."""
    now = current_container().clock()
    with transaction() as session:
        reminder = reminder_queue.retry_reminder(session, reminder_id, now=now)
        write_audit_log(session, "retry_reminder", {"reminder": str(reminder_id)}, now=now)
        return reminder_result(reminder)


@admin_reports.route("/summary")
@require_scope(Scope.READ)
@admin_reports.response(200, SummaryResponse)
def get_summary() -> dict[str, Any]:
    """Show counts of pledges and reminders, and totals of money."""
    with read_only() as session:
        return build_summary(session, now=current_container().clock())
