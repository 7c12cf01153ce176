"""Logs of real processes contain no tokens and no personal data when a supporter signs in and changes a pledge."""

import json
import re
from email import message_from_string, policy

import requests
from sqlalchemy import select

from service.db.models.email import DevOutboxEmail
from service.db.models.pledge import Pledge
from service.domain.pledges.links import pledge_token
from tests.logs.test_log_privacy import AMOUNT, AMOUNT_WRITTEN, DONOR, LiveServer, live_server, make_pledge
from tests.processes import wait_until

__all__ = ["live_server"]

UNKNOWN_ADDRESS, TYPO = "stranger.twelve@example.org", "typo.thirteen@"


def link_in_mail(live_server: LiveServer, action: str = "enter") -> str:
    """Return the token of the link to an action in the email."""
    found: list[str] = []

    def arrived() -> bool:
        with live_server.container.database.read_only() as session:
            messages = [message.message for message in session.scalars(select(DevOutboxEmail))]
        for message in messages:
            plain = message_from_string(message, policy=policy.default).get_body(("plain",))
            found.extend(re.findall(rf"/me/{action}/([\w.-]{{20,}})", str(plain.get_content()) if plain else ""))
        return bool(found)

    wait_until(arrived, what=f"the link, see {live_server.log}")
    return found[0]


def test_sign_in_tokens_are_not_logged(live_server: LiveServer) -> None:
    make_pledge(live_server)
    for address, status in ((DONOR, 303), (UNKNOWN_ADDRESS, 303), (TYPO, 422)):
        live_server.send("POST", "/me", status, data={"email": address})
    token = live_server.remember_secret(link_in_mail(live_server))
    live_server.send("GET", f"/me/enter/{token}", 200)
    entered = live_server.send("POST", f"/me/enter/{token}", 303)
    cookies = {"mainstay_reader": live_server.remember_secret(entered.cookies["mainstay_reader"])}
    live_server.send("POST", f"/me/enter/{token}", 404)
    live_server.send("GET", "/me", 200, cookies=cookies)
    with live_server.container.database.read_only() as session:
        pledge = session.scalars(select(Pledge)).one()
        link = live_server.remember_secret(
            pledge_token(live_server.container.database.keyring, pledge, now=live_server.container.clock())
        )
    for path, status in ((f"/me/pledges/{pledge.id}/amount", 303), (f"/p/{link}/amount", 422)):
        live_server.send(
            "POST", path, status, cookies=cookies, data={"amount": AMOUNT_WRITTEN if status == 303 else "x"}
        )
    live_server.send("POST", f"/p/{link}/card", 409)
    live_server.send("POST", f"/p/{link}xy/cancel", 404)
    live_server.send("POST", "/me/leave", 403, cookies=cookies, headers={"Sec-Fetch-Site": "cross-site"})
    live_server.execute("ALTER TABLE pledge_status_changes RENAME TO elsewhere")
    live_server.send("POST", f"/p/{link}/cancel", 500)
    live_server.execute("ALTER TABLE elsewhere RENAME TO pledge_status_changes")
    live_server.send("POST", f"/p/{link}/cancel", 303, data={"then": "remind"})
    live_server.send("POST", "/me/leave", 303, cookies=cookies)
    assert (
        "Sign in to manage your support"
        in requests.get(f"{live_server.base}/me", cookies=cookies, timeout=60).text
    )

    logged = live_server.log.read_text(encoding="utf-8")
    routes = {json.loads(line).get("route") for line in logged.splitlines() if line.startswith("{")}
    assert {"/me", "/me/enter/<token>", "/me/leave", "/p/<token>/cancel", "/p/<token>/amount"} <= routes
    for secret in live_server.secrets | {DONOR, UNKNOWN_ADDRESS, TYPO}:
        assert secret not in logged
        assert secret.partition("@")[0] not in logged
    for amount in (AMOUNT, AMOUNT_WRITTEN):
        assert not re.search(rf"(?<![\w-]){re.escape(amount)}(?![\w-])", logged)
    assert "example.org" not in logged
    assert "Traceback" not in logged


def test_downloads_erasures_and_changes_of_address_are_logged_without_a_token(live_server: LiveServer) -> None:
    make_pledge(live_server)
    live_server.send("POST", "/me", 303, data={"email": DONOR})
    token = live_server.remember_secret(link_in_mail(live_server))
    entered = live_server.send("POST", f"/me/enter/{token}", 303)
    cookies = {"mainstay_reader": live_server.remember_secret(entered.cookies["mainstay_reader"])}
    archive = live_server.send("POST", "/me/data/download", 200, cookies=cookies)
    assert archive.headers["Content-Type"] == "application/zip"
    assert archive.content.startswith(b"PK")
    live_server.send("POST", "/me/email", 303, cookies=cookies, data={"email": UNKNOWN_ADDRESS})
    token = live_server.remember_secret(link_in_mail(live_server, "email"))
    live_server.send("POST", f"/me/email/{token}", 303)
    token = live_server.remember_secret(link_in_mail(live_server, "email/undo"))
    live_server.send("GET", f"/me/email/undo/{token}", 200)
    live_server.send("GET", f"/me/email/undo/{token}x", 404)
    live_server.send("POST", "/me/erase", 303, cookies=cookies)
    token = live_server.remember_secret(link_in_mail(live_server, "erase"))
    live_server.send("GET", f"/me/erase/{token}", 200)
    live_server.send("POST", f"/me/erase/{token}", 303)
    live_server.send("GET", f"/me/erase/{token}", 200)
    live_server.send("POST", f"/me/erase/{token}xy", 303)

    logged = live_server.log.read_text(encoding="utf-8")
    routes = {json.loads(line).get("route") for line in logged.splitlines() if line.startswith("{")}
    assert {"/me/data/download", "/me/erase", "/me/erase/<token>", "/me/email/undo/<token>"} <= routes
    for secret in live_server.secrets | {DONOR, UNKNOWN_ADDRESS}:
        assert secret not in logged
        assert secret.partition("@")[0] not in logged
    assert "example.org" not in logged
    assert "Traceback" not in logged
