"""Stripe's hosted pages: the checkout, the billing portal's card form, and an open invoice."""

from typing import Any

from flask import Blueprint, abort, current_app, redirect, render_template_string, request
from flask.typing import ResponseReturnValue

from tests.stripe_double.account import StripeJson

LAYOUT = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title></head>
<body><main><h1>{{ title }}</h1>{{ body|safe }}</main></body></html>"""
CHECKOUT = """<p id="total">{{ session.amount_total }} {{ session.currency }}</p>
{% if problem %}<p role="alert">{{ problem }}</p>{% endif %}
<form method="post">
<label>Email <input type="email" name="email" value="{{ session.customer_email or '' }}"></label>
<button name="action" value="pay">Pay</button><button name="action" value="decline">Decline</button>
<button name="action" value="bank">Pay by bank</button></form>
{% if session.cancel_url %}<a href="{{ session.cancel_url }}">Back</a>{% endif %}"""
PORTAL = """<form method="post"><button>Save card</button></form>
{% if portal.return_url %}<a href="{{ portal.return_url }}">Return</a>{% endif %}"""
INVOICE = """<p>{{ invoice.amount_due }} {{ invoice.currency }}, {{ invoice.status }}</p>
{% if invoice.status == "open" %}<form method="post"><button>Pay invoice</button></form>{% endif %}"""

routes = Blueprint("hosted_pages", __name__)


@routes.get("/c/pay/<session_id>")
def show_checkout(session_id: str, problem: str = "") -> ResponseReturnValue:
    session = _find("checkout.session", session_id)
    if session["status"] != "open":
        return _page(
            "This link is no longer valid", "<p>The session is {{ status }}.</p>", status=session["status"]
        )
    return _page("Checkout", CHECKOUT, session=session, problem=problem)


@routes.post("/c/pay/<session_id>")
def submit_checkout(session_id: str) -> ResponseReturnValue:
    session = _find("checkout.session", session_id)
    if session["status"] != "open":
        return show_checkout(session_id)
    actions, email = current_app.actions, request.form.get("email") or None  # type: ignore[attr-defined]
    match request.form.get("action"):
        case "decline":
            actions.decline(session_id, email=email)
            return show_checkout(session_id, "Your card was declined.")
        case "bank":
            actions.pay_by_bank_debit(session_id, email=email)
        case _:
            actions.pay(session_id, email=email)
    return redirect(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session_id), 303)


@routes.get("/p/session/<portal_id>")
def show_portal(portal_id: str) -> ResponseReturnValue:
    return _page("Update your payment method", PORTAL, portal=_find("billing_portal.session", portal_id))


@routes.post("/p/session/<portal_id>")
def save_card(portal_id: str) -> ResponseReturnValue:
    portal = _find("billing_portal.session", portal_id)
    current_app.actions.update_card(portal["customer"])  # type: ignore[attr-defined]
    completion = (portal["flow"] or {}).get("after_completion") or {}
    target = (completion.get("redirect") or {}).get("return_url") or portal["return_url"]
    return redirect(target, 303) if target else _page("Saved", "<p>Your card is saved.</p>")


@routes.get("/invoices/<invoice_id>")
def show_invoice(invoice_id: str) -> ResponseReturnValue:
    return _page("Invoice", INVOICE, invoice=_find("invoice", invoice_id))


@routes.post("/invoices/<invoice_id>")
def pay_invoice(invoice_id: str) -> ResponseReturnValue:
    invoice = _find("invoice", invoice_id)
    if invoice["status"] == "open":
        subscription = invoice["parent"]["subscription_details"]["subscription"]
        current_app.actions.confirm_payment(subscription)  # type: ignore[attr-defined]
    return show_invoice(invoice_id)


def not_found() -> ResponseReturnValue:
    return _page("Something went wrong", "<p>The page you were looking for could not be found.</p>"), 404


def _find(kind: str, object_id: str) -> StripeJson:
    found: StripeJson | None = current_app.account.objects.get(object_id)  # type: ignore[attr-defined]
    return found if found and found["object"] == kind else abort(404)


def _page(title: str, template: str, **values: Any) -> str:
    return render_template_string(LAYOUT, title=title, body=render_template_string(template, **values))
