"""What DNS says of a sender's domain: SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 7489).

Receivers look these records up for each email. One that misses them, or has them twice, sends emails to spam.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import dns.exception
import dns.nameserver
import dns.resolver

# Seconds for one question, with all its repeats.
QUESTION_TIMEOUT = 5.0

State = Literal["ok", "warning", "missing", "wrong", "unknown"]

# The selectors that a service uses for everyone, by the end of its server's name. Others give each customer a
# selector of their own, which DNS cannot list.
USUAL_SELECTORS = {
    "sendgrid.net": ("s1", "s2"),
    "mailgun.org": ("k1", "mx", "pic"),
    "brevo.com": ("brevo1", "brevo2", "mail"),
    "sendinblue.com": ("brevo1", "brevo2", "mail"),
    "mailjet.com": ("mailjet",),
    "mandrillapp.com": ("mte1", "mte2", "mandrill"),
    "gmail.com": ("google",),
    "google.com": ("google",),
    "office365.com": ("selector1", "selector2"),
    "outlook.com": ("selector1", "selector2"),
    "messagingengine.com": ("fm1", "fm2", "fm3"),
}

_SPF = re.compile(r"v=spf1(?: |\Z)", re.IGNORECASE)
_DMARC = re.compile(r"v\s*=\s*DMARC1\s*(?:;|\Z)")
# `all` without a sign means +all.
_SPF_ALL = re.compile(r"(?:\A| )([+?~-]?)all(?: |\Z)", re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """What DNS says of one thing. `advice` says what to do, if anything is to be done."""

    name: str
    state: State
    found: str
    advice: str = ""


class DnsUnreachable(Exception):
    """No name server answers."""


class SenderDns:
    """Asks about the domain of a sender; by default the name servers of this machine."""

    def __init__(self, domain: str, *, nameserver: str | None = None, port: int = 53) -> None:
        """`nameserver` is the IP address of the name server to ask.

        Raises:
            DnsUnreachable: this machine has no name servers.
        """
        self._domain = domain
        try:
            self._resolver = dns.resolver.Resolver(configure=nameserver is None)
        except dns.exception.DNSException as error:
            raise DnsUnreachable(_reason(error)) from error
        if nameserver is not None:
            self._resolver.nameservers = [dns.nameserver.Do53Nameserver(nameserver, port)]
        self._resolver.lifetime = QUESTION_TIMEOUT

    def findings(self, *, selectors: Sequence[str], are_guesses: bool) -> Iterator[Finding]:
        """Yield what is found; with `are_guesses`, a selector that does not exist may be none of the sender's.

        Raises:
            DnsUnreachable: no name server answers.
        """
        if not self._exists(self._domain):
            yield Finding(
                "domain",
                "missing",
                f"{self._domain} is not in DNS",
                "Receivers refuse a sender without a domain: correct MAIL_FROM, or register the domain.",
            )
            return
        yield self._spf()
        yield from self._dkim(selectors, are_guesses=are_guesses)
        yield self._dmarc()

    def _spf(self) -> Finding:
        domain = self._domain
        records = [text for text in self._texts(domain) if _SPF.match(text)]
        if not records:
            return Finding(
                "SPF",
                "missing",
                f"{domain} has no TXT record that begins with v=spf1",
                f"Add one at {domain}, with the include that your mail service names: v=spf1 include:… ~all",
            )
        if len(records) > 1:
            return Finding(
                "SPF",
                "wrong",
                f"{domain} has {len(records)} records that begin with v=spf1, so none counts",
                "Make one of them: v=spf1, the include of each, and one all at the end.",
            )
        sign = _SPF_ALL.search(records[0])
        if sign is not None and sign[1] in ("", "+"):
            return Finding(
                "SPF", "wrong", records[0], "It ends with +all, which lets everybody send in your name: use ~all."
            )
        if sign is None and "redirect=" not in records[0].lower():
            return Finding("SPF", "warning", records[0], "It says nothing of other senders: end it with ~all.")
        return Finding("SPF", "ok", records[0])

    def _dkim(self, selectors: Sequence[str], *, are_guesses: bool) -> Iterator[Finding]:
        found = False
        for selector in selectors:
            name = f"{selector}._domainkey.{self._domain}"
            keys = [tags for tags in map(_tags, self._texts(name)) if "p" in tags]
            if not keys and are_guesses:
                continue
            found = True
            if not keys:
                advice = f"Add the record that your mail service shows for {name} (TXT or CNAME)."
                yield Finding("DKIM", "missing", f"{name} has no key", advice)
            elif len(keys) > 1:
                advice = "Keep the one that your mail service shows."
                yield Finding("DKIM", "wrong", f"{name} has {len(keys)} keys", advice)
            elif not keys[0]["p"]:
                advice = "Ask your mail service for a new one."
                yield Finding("DKIM", "wrong", f"{name} has an empty key: it was revoked", advice)
            elif keys[0].get("v", "DKIM1") != "DKIM1":
                yield Finding("DKIM", "wrong", f"{name} begins with v={keys[0]['v']}", "It must be v=DKIM1.")
            else:
                yield Finding("DKIM", "ok", f"{name} has a key ({keys[0].get('k', 'rsa')})")
        if not found:
            tried = f" under {', '.join(selectors)}, usual with this mail server" if selectors else ""
            yield Finding(
                "DKIM",
                "unknown",
                f"no key was found{tried}" if selectors else "not checked",
                "DNS cannot list selectors: pass --dkim-selector with the name that your mail service shows, the "
                f"part before ._domainkey.{self._domain}.",
            )

    def _dmarc(self) -> Finding:
        labels = self._domain.split(".")
        # A domain without a record is under that of a parent (RFC 7489, section 6.6.3).
        for first in range(max(len(labels) - 1, 1)):
            parent = ".".join(labels[first:])
            records = [text for text in self._texts(f"_dmarc.{parent}") if _DMARC.match(text)]
            if len(records) > 1:
                return Finding(
                    "DMARC", "wrong", f"_dmarc.{parent} has {len(records)} records, so none counts", "Keep one."
                )
            if records:
                return _dmarc_policy(parent, records[0], is_parent=first > 0)
        return Finding(
            "DMARC",
            "missing",
            f"_dmarc.{self._domain} has no record",
            f"Add a TXT record at _dmarc.{self._domain}, which only watches at first: "
            f"v=DMARC1; p=none; rua=mailto:postmaster@{self._domain}",
        )

    def _exists(self, name: str) -> bool:
        try:
            self._resolver.resolve(name, "TXT", search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return False
        except dns.exception.DNSException as error:
            raise DnsUnreachable(_reason(error)) from error
        return True

    def _texts(self, name: str) -> list[str]:
        """Return the TXT records of a name, each put together from its parts; aliases (CNAME) are followed."""
        try:
            answer = self._resolver.resolve(name, "TXT", search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return []
        except dns.exception.DNSException as error:
            raise DnsUnreachable(_reason(error)) from error
        return [b"".join(record.strings).decode("ascii", "replace") for record in answer.rrset or ()]


def usual_selectors(server: str) -> tuple[str, ...]:
    """Return the DKIM selectors that the mail service with this server uses for all its customers, if any."""
    name = server.lower().rstrip(".")
    for service, selectors in USUAL_SELECTORS.items():
        if name == service or name.endswith(f".{service}"):
            return selectors
    return ()


def _dmarc_policy(domain: str, record: str, *, is_parent: bool) -> Finding:
    tags = _tags(record)
    # A parent may have a policy of its own for the domains under it.
    policy = (tags.get("sp") if is_parent else None) or tags.get("p")
    if policy is None or policy.lower() not in ("none", "quarantine", "reject"):
        return Finding(
            "DMARC", "wrong", f"_dmarc.{domain}: {record}", "It needs a policy: p=none, p=quarantine or p=reject."
        )
    if policy.lower() == "none":
        advice = "p=none only watches. Once the reports are clean, use p=quarantine or p=reject."
        return Finding("DMARC", "ok", f"_dmarc.{domain}: {record}", advice)
    return Finding("DMARC", "ok", f"_dmarc.{domain}: {record}")


def _tags(record: str) -> dict[str, str]:
    """Return the tags of a record, such as `v=DKIM1; p=…` (RFC 6376, section 3.2)."""
    pairs = (part.partition("=") for part in record.split(";"))
    return {name.strip().lower(): re.sub(r"\s", "", value) for name, sign, value in pairs if sign}


def _reason(error: Exception) -> str:
    if isinstance(error, dns.resolver.NoNameservers):
        return "the name servers answer with an error, or not at all"
    if isinstance(error, dns.exception.Timeout):
        return f"no answer within {QUESTION_TIMEOUT:.0f} seconds"
    return f"{type(error).__name__}: {error}"
