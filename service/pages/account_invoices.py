"""Paying the open invoice of a pledge from the account page: on the gateway's page, or with the saved card."""

import uuid

from flask import request
from werkzeug.wrappers import Response as BaseResponse

from service.domain.errors import DomainError, NothingToPay, PaymentsUnavailable
from service.domain.pledges.open_invoices import charge_open_invoice, open_invoice_page
from service.pages.account_context import (
    load_context,
    load_pledge_context,
    pledge_blueprint,
    render_gateway_error,
    route_for_account_and_link,
)
from service.pages.gateway_redirect import redirect_to_gateway
from service.web import current_container, read_only

SAVED_CARD = "saved"

account_invoices = pledge_blueprint("account_invoices")


@route_for_account_and_link(account_invoices, "pay", "POST")
def pay_invoice(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Lead to the gateway's page of the open invoice, or charge the saved card again."""
    context, container = load_context(pledge_id, token), current_container()
    if request.form.get("card") != SAVED_CARD:
        try:
            url = open_invoice_page(container.gateway, context.pledge)
        except NothingToPay:
            return context.redirect_back(done="settled")
        except DomainError as error:
            return render_gateway_error(context, error, operation="pay")
        allowed = request.form.get("allowed", "")
        return redirect_to_gateway(url, context.texts, context.pledge.campaign, allowed=allowed)
    try:
        charge_open_invoice(
            container.database.transaction, container.gateway, context.pledge.id, clock=container.clock
        )
    except NothingToPay:
        return context.redirect_back(done="settled")
    except PaymentsUnavailable as error:
        with read_only() as session:
            context = load_pledge_context(session, pledge_id, token)
        # A stored request is completed later.
        if context.pledge.invoice_retry_requested_at is None:
            return render_gateway_error(context, error, operation="pay")
        return context.redirect_back(done="trying")
    except DomainError as error:
        return render_gateway_error(context, error, operation="pay")
    return context.redirect_back(done="paid")
