"""Binary values in the headers and bodies of email services."""

import base64
import binascii


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of a text in base64; None if it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
