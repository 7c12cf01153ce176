"""What staff read: pledges, reminders and the sums."""

import uuid
from typing import Any

from schemas.export import PledgePage, SummaryResponse
from schemas.pledge import PageQuery, PledgeQuery
from schemas.reminder import ReminderPage, ReminderQuery, ReminderResponse
from schemas.vocabulary import Scope
from service.api.blueprint import ResourceBlueprint
from service.api.staff_access import audit, staff_only
from service.domain.pagination import Page
from service.domain.pledges.listing import PledgeFilter, list_pledges
from service.domain.reminders.failures import retry_reminder
from service.domain.reminders.listing import ReminderFilter, list_reminders
from service.domain.reminders.promise import ReminderResult, reminder_result
from service.domain.watch.summary import build_summary
from service.web import current_container, read_only, transaction

admin = ResourceBlueprint("staff", __name__, url_prefix="/v1/admin", description="For the newsroom's staff.")


class PledgeListQuery(PledgeQuery, PageQuery):
    """Which pledges, and which part of the list."""


class ReminderListQuery(ReminderQuery, PageQuery):
    """Which reminders, and which part of the list."""


@admin.route("/pledges")
@staff_only(Scope.READ)
@admin.arguments(PledgeListQuery, location="query")
@admin.response(200, PledgePage)
def show_pledges(query: dict[str, Any]) -> Page:
    """List pledges, the newest first."""
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    with read_only() as session:
        return list_pledges(session, PledgeFilter(**query), limit=limit, cursor=cursor)


@admin.route("/reminders")
@staff_only(Scope.READ)
@admin.arguments(ReminderListQuery, location="query")
@admin.response(200, ReminderPage)
def show_reminders(query: dict[str, Any]) -> Page:
    """List reminders, the newest first."""
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    with read_only() as session:
        return list_reminders(session, ReminderFilter(**query), limit=limit, cursor=cursor)


@admin.route("/reminders/<uuid:reminder_id>/retry", methods=["POST"])
@staff_only(Scope.MANAGE)
@admin.response(200, ReminderResponse)
def send_reminder_back(reminder_id: uuid.UUID) -> ReminderResult:
    """Send a failed reminder back into the queue."""
    now = current_container().clock()
    with transaction() as session:
        reminder = retry_reminder(session, reminder_id, now=now)
        audit(session, "retry_reminder", {"reminder": str(reminder_id)}, now=now)
        return reminder_result(reminder)


@admin.route("/summary")
@staff_only(Scope.READ)
@admin.response(200, SummaryResponse)
def show_summary() -> dict[str, Any]:
    """Show how the desk stands, in numbers."""
    with read_only() as session:
        return build_summary(session, now=current_container().clock())
