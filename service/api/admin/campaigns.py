"""Campaign files, which staff read and replace."""

from typing import Any

from schemas.campaign import CampaignFile, CampaignUpdateQuery
from schemas.enums import Scope, WaitingPolicy
from service.api.auth import require_scope, write_audit_log
from service.api.blueprint import ResourceBlueprint
from service.api.problems import ProblemException
from service.domain.campaigns import definitions
from service.domain.campaigns.cache import wait_for_ttl
from service.domain.reminders.waiting import cancel_all_waiting_reminders, require_waiting_policy
from service.web import current_container, read_only, transaction

admin_campaigns = ResourceBlueprint(
    "campaign files", __name__, url_prefix="/v1/admin/campaigns", description="Campaign files."
)


@admin_campaigns.route("/<slug>")
@require_scope(Scope.READ)
@admin_campaigns.response(200, CampaignFile)
def get_campaign(slug: str) -> dict[str, Any]:
    """Show a campaign in the format of a campaign file."""
    with read_only() as session:
        return definitions.serialize_campaign(definitions.get_campaign(session, slug))


@admin_campaigns.route("/<slug>", methods=["PUT"])
@require_scope(Scope.MANAGE)
@admin_campaigns.arguments(CampaignFile)
@admin_campaigns.arguments(CampaignUpdateQuery, location="query")
@admin_campaigns.response(200, CampaignFile)
def put_campaign(file: dict[str, Any], query: dict[str, Any], slug: str) -> dict[str, Any]:
    """Create a campaign, or replace its definition.

    If reminders are waiting that the campaign would no longer offer, `waiting` says what to do with them.
    """
    if file["slug"] != slug:
        raise ProblemException(
            422, "slug_mismatch", f"The file is for {file['slug']!r}, the address for {slug!r}."
        )
    now, definition = current_container().clock(), definitions.parse_definition(file)
    definitions.validate_campaign_amounts(definition, current_container().gateway)
    policy = query.get("waiting")
    with transaction() as session:
        require_waiting_policy(session, definition, policy)
        campaign = definitions.upsert_campaign(session, definition, now=now)
        details = {"campaign": slug} | ({"waiting": policy.value} if policy else {})
        write_audit_log(session, "put_campaign", details, now=now)
        response = definitions.serialize_campaign(campaign)
    wait_for_ttl()
    if policy == WaitingPolicy.CANCEL:
        cancel_all_waiting_reminders(current_container().database.transaction, slug, now=now)
    return response
