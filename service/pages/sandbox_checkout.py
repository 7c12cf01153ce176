"""The hosted checkout of the sandbox gateway, which simulates payments."""

import re
import secrets

from flask import Blueprint, Response, redirect, request
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as BaseResponse

from schemas.enums import PledgeStatus
from service.db.models.pledge import Pledge
from service.domain.errors import AddressNotSupported, InvalidAddress, SandboxCheckoutClosed
from service.domain.money import Money, format_money
from service.domain.payments.sandbox import decline_checkout, get_checkout, is_sandbox, pay_checkout
from service.domain.pledges.links import return_token
from service.domain.pledges.pledges import total_charge
from service.domain.pledges.return_urls import cancel_url, success_url
from service.pages.form_errors import FieldError, describe_error
from service.pages.formatting import format_pledge
from service.pages.rendering import render_page
from service.pages.translations import texts_for_campaign
from service.web import current_container, read_only, transaction

DECLINED, CLOSED = 402, 410
ATTEMPT = re.compile(r"[0-9a-f]{8,32}")

sandbox = Blueprint("sandbox", __name__)


@sandbox.get("/sandbox/checkout/<token>")
def show_checkout(token: str) -> Response:
    """Show the checkout, or its outcome once it is closed; while another gateway is in use, a way out of it."""
    with read_only() as session:
        return _render(get_checkout(session, token, now=current_container().clock()))


@sandbox.post("/sandbox/checkout/<token>")
def submit_checkout(token: str) -> BaseResponse:
    """Complete the simulated payment, or decline it, by the button that was pressed."""
    outcome, email = request.form.get("outcome"), request.form.get("email", "").strip()
    if outcome not in ("pay", "decline"):
        raise BadRequest
    try:
        return _pay(token, email) if outcome == "pay" else _decline(token, email)
    except SandboxCheckoutClosed:
        return show_checkout(token)


def _pay(token: str, email: str) -> BaseResponse:
    container = current_container()
    try:
        with transaction() as session:
            pledge = pay_checkout(
                session,
                container.gateway,
                token,
                email=email or None,
                now=container.clock(),
                mail_server=container.settings.mail.server_address,
            )
            token = return_token(container.database.keyring, pledge.id)
            return redirect(success_url(pledge, container.urls, token), 303)
    except (InvalidAddress, AddressNotSupported) as error:
        with read_only() as session:
            pledge = get_checkout(session, token, now=container.clock())
            texts = texts_for_campaign(pledge.campaign, pledge.lang)
            return _render(pledge, email=email, field_error=describe_error(error, texts, pledge.campaign))


def _decline(token: str, email: str) -> Response:
    # The id was rendered into the form, so a form submitted twice counts as one attempt.
    attempt = request.form.get("attempt", "")
    if not ATTEMPT.fullmatch(attempt):
        attempt = new_attempt_id()
    container = current_container()
    with transaction() as session:
        pledge = decline_checkout(session, container.gateway, token, attempt=attempt, now=container.clock())
        return _render(pledge, email=email, declined=True)


def new_attempt_id() -> str:
    return secrets.token_hex(8)


def _render(
    pledge: Pledge, *, email: str = "", field_error: FieldError | None = None, declined: bool = False
) -> Response:
    container, campaign = current_container(), pledge.campaign
    urls, texts = container.urls, texts_for_campaign(campaign, pledge.lang)
    is_closed = not is_sandbox(container.gateway)
    is_open = pledge.status == PledgeStatus.PENDING and not is_closed
    status = CLOSED if is_closed else DECLINED if declined and is_open else 200
    outcome = "expired" if pledge.status == PledgeStatus.EXPIRED else "paid"
    fees = Money(pledge.fees_minor, pledge.currency)
    return render_page(
        "sandbox_checkout.html",
        texts,
        status=field_error.status if field_error else status,
        form_targets=[success_url(pledge, urls)],
        campaign=campaign,
        pledge_summary=format_pledge(texts, pledge.frequency, total_charge(pledge)),
        fees=format_money(fees, texts.lang) if pledge.fees_minor else None,
        is_open=is_open,
        outcome="closed" if is_closed else outcome,
        attempt=new_attempt_id(),
        email=email,
        field_error=field_error,
        declined=declined,
        is_form_wrong=is_open and (declined or field_error is not None),
        cancel_url=cancel_url(pledge, campaign, urls),
        new_pledge_url=urls.support_page_url(
            campaign, pledge.frequency, pledge.amount_minor, currency=pledge.currency
        ),
        thank_you_url=urls.thank_you_url(campaign, pledge.id, return_token(container.database.keyring, pledge.id)),
    )
