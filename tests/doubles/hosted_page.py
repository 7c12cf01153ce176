"""The pages that a reader sees on Stripe's side: the hosted checkout, and the billing portal's card form."""

import html
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.doubles.account import Account, Thing

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><main><h1>{title}</h1>{body}</main></body></html>"""


@dataclass
class Page:
    """What a browser is answered."""

    status: int
    html: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Deeds:
    """What a reader can do on these pages; each takes an id, and is done, webhooks and all, when it returns."""

    pay: Callable[[str, str | None], None]
    decline: Callable[[str, str | None], None]
    pay_by_bank: Callable[[str, str | None], None]
    save_card: Callable[[str], None]


class Pages:
    """`/c/pay/{session}` with Pay, Decline, Pay by bank and Back; `/p/session/{portal session}` with Save card."""

    def __init__(self, account: Account, deeds: Deeds) -> None:
        self._account, self._deeds = account, deeds

    def serve(self, method: str, path: str, form: dict[str, str]) -> Page:
        """Answer a browser."""
        of = self._account.things.get(path.rpartition("/")[2])
        if path.startswith("/c/pay/") and of and of["object"] == "checkout.session":
            return self._checkout(of) if method == "GET" else self._pay(of, form)
        if path.startswith("/p/session/") and of and of["object"] == "billing_portal.session":
            return self._portal(of) if method == "GET" else self._save_card(of)
        return _page(404, "Something went wrong", "<p>The page you were looking for could not be found.</p>")

    def _checkout(self, of: Thing, problem: str = "") -> Page:
        if of["status"] != "open":
            return _page(200, "This link is no longer valid", f"<p>The session is {of['status']}.</p>")
        email = html.escape(of["customer_email"] or "", quote=True)
        back = html.escape(of["cancel_url"] or "", quote=True)
        total = f"{of['amount_total']} {of['currency']}"
        body = f"""<p id="total">{total}</p>{f'<p role="alert">{problem}</p>' if problem else ""}
<form method="post"><label>Email <input type="email" name="email" value="{email}"></label>
<button name="deed" value="pay">Pay</button><button name="deed" value="decline">Decline</button>
<button name="deed" value="bank">Pay by bank</button></form>
{f'<a href="{back}">Back</a>' if back else ""}"""
        return _page(200, "Checkout", body)

    def _pay(self, of: Thing, form: dict[str, str]) -> Page:
        if of["status"] != "open":
            return self._checkout(of)
        email = form.get("email") or None
        deed = form.get("deed")
        if deed == "decline":
            self._deeds.decline(of["id"], email)
            return self._checkout(of, "Your card was declined.")
        (self._deeds.pay_by_bank if deed == "bank" else self._deeds.pay)(of["id"], email)
        return _go_to(of["success_url"].replace("{CHECKOUT_SESSION_ID}", of["id"]))

    def _portal(self, of: Thing) -> Page:
        back = html.escape(of["return_url"] or "", quote=True)
        body = f"""<form method="post"><button>Save card</button></form>
{f'<a href="{back}">Return</a>' if back else ""}"""
        return _page(200, "Update your payment method", body)

    def _save_card(self, of: Thing) -> Page:
        self._deeds.save_card(of["customer"])
        completed = (of["flow"] or {}).get("after_completion") or {}
        target = (completed.get("redirect") or {}).get("return_url") or of["return_url"]
        return _go_to(target) if target else _page(200, "Saved", "<p>Your card is saved.</p>")


def _page(status: int, title: str, body: str) -> Page:
    return Page(status, PAGE.format(title=title, body=body))


def _go_to(url: str) -> Page:
    return Page(303, "", {"Location": url})
