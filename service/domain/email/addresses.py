"""Email addresses: the normalised form for storing and sending, and the folded form for comparing."""

import unicodedata

import idna
from email_validator import EmailNotValidError, validate_email

from service.db.keyring import Keyring
from service.domain.errors import InvalidAddress


def normalise_address(text: str) -> str:
    """Return the address trimmed, in NFC, with its domain in lower-case ASCII (IDNA 2008, RFC 5891).

    The local part keeps its case, because RFC 5321 leaves its meaning to the receiving host. Email is sent to this
    form; `fold_address` returns the form that tells people apart.

    Raises:
        InvalidAddress: email cannot be sent to this address. The error does not repeat the address.
    """
    try:
        address = validate_email(text.strip(), check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError as error:
        raise InvalidAddress(
            "This does not look like an email address; enter one like name@example.org.", field="email"
        ) from error
    return f"{address.local_part}@{address.ascii_domain}"


def fold_address(address: str) -> str:
    """Return the form in which addresses of one person are equal; it is for comparison and never for sending.

    The local part is case-folded (Unicode canonical caseless matching, in NFC), and the domain is in lower-case
    ASCII (UTS 46), so that its Unicode and punycode forms are equal. Dots and a plus in the local part stay,
    because many hosts deliver `a.b@` and `ab@`, or `a+b@` and `a@`, to different people.
    """
    local, at, domain = address.rpartition("@")
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", local).casefold())
    return f"{folded}{at}{_ascii_domain(domain)}"


def mask_address(address: str) -> str:
    """Return an address that its owner recognises and nobody else can write to: "r…@example.org"."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"


def address_hashes(keyring: Keyring, address: str) -> list[bytes]:
    """Return the hashes under which an address may be stored, that of new rows first: 32 bytes each.

    The folded form comes first, under every key, and then the form as typed, which the release before hashed.
    """
    forms = dict.fromkeys((fold_address(address), address))
    return [email_hash for form in forms for email_hash in keyring.lookup_hashes(form)]


def _ascii_domain(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return domain.casefold()
