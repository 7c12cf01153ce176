"""Erasure of a supporter's personal data."""

from typing import Any

from schemas.admin import ErasureRequest, ErasureResponse
from schemas.enums import Scope
from service.api.auth import require_scope, write_audit_log
from service.api.blueprint import ResourceBlueprint
from service.domain import supporters
from service.domain.email.addresses import normalise_address
from service.web import current_container, transaction

erasures = ResourceBlueprint(
    "erasures", __name__, url_prefix="/v1/admin/erasures", description="Erasure of personal data."
)

ERASED = "Everything stored about this supporter was erased, except what the law keeps."
NOT_FOUND = "No supporter has this address, so there was nothing to erase. Check how it is written."


@erasures.route("", methods=["POST"])
@require_scope(Scope.MANAGE)
@erasures.arguments(ErasureRequest)
@erasures.response(200, ErasureResponse)
def erase_supporter(payload: dict[str, str]) -> dict[str, Any]:
    """Delete a supporter's address and reminders, and anonymise their pledges, which keep their amounts."""
    now = current_container().clock()
    with transaction() as session:
        erased = supporters.erase_supporter(session, normalise_address(payload["email"]), now=now)
        counts = {"pledges": erased.pledges, "reminders": erased.reminders}
        write_audit_log(session, "erase_reader", counts, now=now)
    return {"found": erased.found, "message": ERASED if erased.found else NOT_FOUND, **counts}
