"""The page on which a signed-in supporter uses one card for all that they give every month or year."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from service.db.models.pledge import Pledge
from service.domain.pledges.customers import group_by_customer
from service.domain.pledges.queries import pledges_for_supporter
from service.pages.account_view import format_campaign_date, format_pledge_summary
from service.pages.brand import default_brand
from service.pages.gateway_redirect import gateway_origins
from service.pages.rendering import render_page, sender_name
from service.pages.session_cookie import current_supporter_id
from service.pages.translations import Texts, default_texts
from service.web import read_only

account_card = Blueprint("account_card", __name__)


@dataclass(frozen=True, kw_only=True)
class CardGroup:
    """The pledges that one card pays, as text, and the path of the form that changes it."""

    action: str
    pledges: Sequence[tuple[str, str]]
    changed: str | None


@account_card.get("/me/card")
def show_card() -> BaseResponse:
    """Show what each card pays, with a button for another card. Readers come back here from the gateway."""
    texts = default_texts()
    with read_only() as session:
        supporter_id = current_supporter_id(session)
        account = url_for("account.show_account", lang=request.args.get("lang"))
        if supporter_id is None:
            return redirect(account, 303)
        groups = group_by_customer(pledges_for_supporter(session, supporter_id))
        if not groups:
            return redirect(account, 303)
        response = render_page(
            "one_card.html",
            texts,
            form_targets=gateway_origins(),
            sender_name=sender_name(),
            brand=default_brand(),
            groups=[_group(pledges, texts) for pledges in groups],
        )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _group(pledges: Sequence[Pledge], texts: Texts) -> CardGroup:
    first = pledges[0]
    changed_at = max(
        (pledge.payment_method_changed_at for pledge in pledges if pledge.payment_method_changed_at), default=None
    )
    return CardGroup(
        action=f"/me/pledges/{first.id}/card",
        pledges=[(pledge.campaign.name, format_pledge_summary(pledge, texts)) for pledge in pledges],
        changed=None
        if changed_at is None
        else texts.format("me_one_card_changed", date=format_campaign_date(changed_at, first, texts)),
    )
