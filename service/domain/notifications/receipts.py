"""The number on a receipt: the same in its mail and on the reader's page, and never another payment's."""

import uuid
from typing import Final

# Crockford's alphabet: no letter in it is mistaken for a digit when somebody reads the number out.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUP_COUNT, GROUP_SIZE = 3, 4


def receipt_number(payment_id: uuid.UUID, year: int) -> str:
    """Return the number of a payment's receipt, such as "2026-7K3Q-9XTM-4BHF".

    The letters are the last 60 bits of the payment's id, which are random in a UUIDv7 (RFC 9562, section 5.7).
    """
    bits = payment_id.int
    emails = "".join(ALPHABET[bits >> 5 * place & 31] for place in reversed(range(GROUP_COUNT * GROUP_SIZE)))
    return "-".join(
        [f"{year:04}", *(emails[start : start + GROUP_SIZE] for start in range(0, len(emails), GROUP_SIZE))]
    )
