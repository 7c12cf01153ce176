"""Receipt numbers: unique to a payment, and the same in the email and on the reader's page."""

import uuid
from typing import Final

# Crockford's Base32 has no letter that can be mistaken for a digit.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUP_COUNT, GROUP_SIZE = 3, 4


def receipt_number(payment_id: uuid.UUID, year: int) -> str:
    """Return the number of a payment's receipt, such as "2026-7K3Q-9XTM-4BHF".

    The characters are the last 60 bits of the payment's id, which are random in a UUIDv7 (RFC 9562, section 5.7).
    """
    bits = payment_id.int
    characters = "".join(
        ALPHABET[bits >> 5 * position & 31] for position in reversed(range(GROUP_COUNT * GROUP_SIZE))
    )
    return "-".join(
        [
            f"{year:04}",
            *(characters[start : start + GROUP_SIZE] for start in range(0, len(characters), GROUP_SIZE)),
        ]
    )
