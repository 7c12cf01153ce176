"""Campaigns as staff write them."""

from typing import Any

from schemas.campaign import CampaignFile
from schemas.vocabulary import Scope
from service.api.blueprint import ResourceBlueprint
from service.api.problems import Refusal
from service.api.staff_access import audit, staff_only
from service.domain.campaigns.charging import check_chargeable
from service.domain.campaigns.shelf import let_go
from service.domain.campaigns.terms import apply_campaign, campaign_terms, find_campaign, read_terms
from service.web import current_container, read_only, transaction

admin_campaigns = ResourceBlueprint(
    "campaign files", __name__, url_prefix="/v1/admin/campaigns", description="What an appeal says and offers."
)


@admin_campaigns.route("/<slug>")
@staff_only(Scope.READ)
@admin_campaigns.response(200, CampaignFile)
def show_campaign_file(slug: str) -> dict[str, Any]:
    """Show a campaign as its file would say it."""
    with read_only() as session:
        return campaign_terms(find_campaign(session, slug))


@admin_campaigns.route("/<slug>", methods=["PUT"])
@staff_only(Scope.MANAGE)
@admin_campaigns.arguments(CampaignFile)
@admin_campaigns.response(200, CampaignFile)
def put_campaign_file(file: dict[str, Any], slug: str) -> dict[str, Any]:
    """Create a campaign, or make it say and offer exactly this."""
    if file["slug"] != slug:
        raise Refusal(422, "slug_mismatch", f"The file is for {file['slug']!r}, the address for {slug!r}.")
    now, terms = current_container().clock(), read_terms(file)
    check_chargeable(terms, current_container().gateway)
    with transaction() as session:
        campaign = apply_campaign(session, terms, now=now)
        audit(session, "put_campaign", {"campaign": slug}, now=now)
        answer = campaign_terms(campaign)
    let_go()
    return answer
