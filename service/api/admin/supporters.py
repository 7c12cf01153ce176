"""Supporters, for staff: find one by address, change the address, erase the personal data."""

import uuid
from typing import Any

from schemas.admin import (
    AddressChangeRequest,
    AddressChangeResponse,
    ErasureRequest,
    ErasureResponse,
    SupporterList,
    SupporterSearch,
)
from schemas.enums import ErasureStatus, Scope
from service.api.auth import current_actor, require_scope, write_audit_log
from service.api.blueprint import ResourceBlueprint
from service.domain import supporters
from service.domain.email.addresses import normalise_address
from service.domain.privacy.address_changes import change_address
from service.domain.privacy.erasure import erase
from service.web import current_container, transaction

erasures = ResourceBlueprint(
    "erasures", __name__, url_prefix="/v1/admin/erasures", description="Erasure of personal data."
)

admin_supporters = ResourceBlueprint(
    "supporters", __name__, url_prefix="/v1/admin/supporters", description="Supporters and their addresses."
)

ERASED = "Everything stored about this supporter was erased, except what the law keeps."
REQUESTED = (
    "The payment provider isn't responding right now. The erasure is recorded and is completed when it does; no"
    " email leaves until then."
)
NOT_FOUND = "No supporter has this address, so there was nothing to erase. Check how it is written."


@erasures.route("", methods=["POST"])
@require_scope(Scope.MANAGE)
@erasures.arguments(ErasureRequest)
@erasures.response(200, ErasureResponse)
@erasures.alt_response(202, schema=ErasureResponse, description="Recorded; the payment provider isn't responding.")
def erase_supporter(payload: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Erase a supporter: cancel recurring pledges, delete address and reminders, anonymise pledges.

    The pledges keep their amounts. With `end_recurring` false, an active recurring pledge is a 409 and nothing is
    changed.
    """
    container = current_container()
    result = erase(
        container.database.transaction,
        container.gateway,
        normalise_address(payload["email"]),
        end_recurring=payload["end_recurring"],
        requested_by=current_actor(),
        clock=container.clock,
    )
    if result.status == ErasureStatus.REQUESTED:
        return vars(result) | {"message": REQUESTED}, 202
    return vars(result) | {"message": ERASED if result.found else NOT_FOUND}, 200


@admin_supporters.route("/search", methods=["POST"])
@require_scope(Scope.MANAGE)
@admin_supporters.arguments(SupporterSearch)
@admin_supporters.response(200, SupporterList)
def search_supporters(payload: dict[str, str]) -> dict[str, Any]:
    """Find a supporter by the exact address. It is in the body, so that no URL and no log contains it."""
    with transaction() as session:
        found = supporters.find_supporters(session, normalise_address(payload["email"]))
        details = {"supporters": [str(supporter.id) for supporter in found]}
        write_audit_log(session, "find_supporter", details, now=current_container().clock())
    return {"items": found}


@admin_supporters.route("/<uuid:supporter_id>/email", methods=["POST"])
@require_scope(Scope.MANAGE)
@admin_supporters.arguments(AddressChangeRequest)
@admin_supporters.response(200, AddressChangeResponse)
def change_email(payload: dict[str, Any], supporter_id: uuid.UUID) -> dict[str, Any]:
    """Give a supporter another address, here and at the payment provider."""
    container, address, merge = current_container(), normalise_address(payload["email"]), payload["merge"]
    with transaction() as session:
        details = {"supporter": str(supporter_id), "merge": merge}
        write_audit_log(session, "change_email", details, now=container.clock())
    changed = change_address(
        container.database.transaction,
        container.gateway,
        supporter_id,
        address,
        merge=merge,
        clock=container.clock,
    )
    customers = {result: changed.customers[result] for result in ("updated", "pending", "refused")}
    return vars(changed.supporter) | {"merged": changed.merged, "customers": customers}
