"""What the secret keys are for: encrypting addresses, hashing them for look-ups, and signing links.

Each secret yields three independent keys by HKDF-SHA256 (RFC 5869), so that none of the uses can
weaken another. The first secret encrypts, hashes and signs; all of them decrypt, match and verify.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12
KEY_ID_BYTES = 4


class DecryptionError(Exception):
    """No key of the ring opens this text: a key was dropped too early, or the text was altered."""


@dataclass(frozen=True)
class Key:
    """The working keys that one secret yields; `id` tells which secret closed a text."""

    id: bytes
    cipher: AESGCM = field(repr=False)
    hashing: bytes = field(repr=False)
    signing: bytes = field(repr=False)


def _derive(secret: str, use: str, length: int) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=length, salt=None, info=f"mainstay {use}".encode())
    return derivation.derive(secret.encode())


def _key(secret: str) -> Key:
    return Key(
        id=_derive(secret, "key id", KEY_ID_BYTES),
        cipher=AESGCM(_derive(secret, "encryption", 32)),
        hashing=_derive(secret, "hashing", 32),
        signing=_derive(secret, "signing", 32),
    )


class Keyring:
    """All keys of one deployment. Rotation puts a new secret first and keeps the old ones behind it."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        if not secrets:
            raise ValueError("a keyring needs at least one secret")
        self._keys = [_key(secret) for secret in secrets]

    def encrypt(self, text: bytes, *, context: bytes) -> bytes:
        """Close `text` with AES-256-GCM (NIST SP 800-38D): key id, 12-byte random nonce, ciphertext with tag.

        `context` names the column, so that a value moved into another one does not open there.
        """
        key, nonce = self._keys[0], os.urandom(NONCE_BYTES)
        return key.id + nonce + key.cipher.encrypt(nonce, text, context)

    def decrypt(self, ciphertext: bytes, *, context: bytes) -> bytes:
        """Open what `encrypt` closed with any key of the ring.

        Raises:
            DecryptionError: no key fits, or the value was altered.
        """
        key_id, nonce = ciphertext[:KEY_ID_BYTES], ciphertext[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES]
        for key in self._keys:
            if key.id == key_id:
                try:
                    return key.cipher.decrypt(nonce, ciphertext[KEY_ID_BYTES + NONCE_BYTES :], context)
                except (InvalidTag, ValueError) as error:
                    # A value that was cut short has no whole nonce, which the cipher calls a wrong value.
                    raise DecryptionError("the value was altered") from error
        raise DecryptionError("no key of SECRET_KEYS closed this value")

    @property
    def current_id(self) -> bytes:
        """The id with which every value begins that the first key closed: 4 bytes."""
        return self._keys[0].id

    def lookup_hashes(self, text: str) -> list[bytes]:
        """Return the HMAC-SHA256 of `text` under every key, the current one first: 32 bytes each."""
        return [hmac.digest(key.hashing, text.encode(), "sha256") for key in self._keys]

    def lookup_hash(self, text: str) -> bytes:
        """Return the HMAC-SHA256 of `text` under the current key: 32 bytes."""
        return hmac.digest(self._keys[0].hashing, text.encode(), "sha256")

    def prefixed_lookup_hashes(self, text: str) -> list[bytes]:
        """Return, for every key, its id and then 28 bytes of the HMAC-SHA256 of `text`; the current one first.

        Where no text is kept beside its hash, the id alone tells which key the row still needs. A hash cut to 224
        bits is as good as a whole one (RFC 2104, section 5).
        """
        return [
            key.id + hash_[: -len(key.id)] for key, hash_ in zip(self._keys, self.lookup_hashes(text), strict=True)
        ]

    @property
    def signing_keys(self) -> list[bytes]:
        """The keys that sign links, the current one first: 32 bytes each."""
        return [key.signing for key in self._keys]


def sha256(text: str) -> bytes:
    """Return the SHA-256 of a value that is already random or public: 32 bytes."""
    return hashlib.sha256(text.encode()).digest()
