"""Email addresses in the normalised form in which they are stored and compared."""

from email_validator import EmailNotValidError, validate_email

from service.domain.errors import InvalidAddress


def normalise_address(text: str) -> str:
    """Return the address trimmed, in NFC, with its domain in lower-case ASCII (IDNA 2008, RFC 5891).

    The local part keeps its case, because RFC 5321 leaves its meaning to the receiving host.

    Raises:
        InvalidAddress: email cannot be sent to this address. The error does not repeat the address.
    """
    try:
        address = validate_email(text.strip(), check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError as error:
        raise InvalidAddress(
            "This does not look like an e-mail address; write it like name@example.org.", field="email"
        ) from error
    return f"{address.local_part}@{address.ascii_domain}"
