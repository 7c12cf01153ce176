"""Secret keys: they encrypt addresses, hash them for lookups, and sign links.

Each secret yields three independent keys by HKDF-SHA256 (RFC 5869), so that no use can weaken another.
The first secret encrypts, hashes and signs; all of them decrypt, match and verify.
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
TAG_BYTES = 16
MIN_CIPHERTEXT_BYTES = KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES


class DecryptionError(Exception):
    """No key decrypts this value: its key was removed too early, or the value was altered."""


class UnknownKey(DecryptionError):
    """The key that encrypted this value is not in `SECRET_KEYS`; another process, or a later one, may have it."""


@dataclass(frozen=True)
class Key:
    """The keys derived from one secret; `id` names the secret in each value that it encrypted."""

    id: bytes
    cipher: AESGCM = field(repr=False)
    hashing: bytes = field(repr=False)
    signing: bytes = field(repr=False)


class Keyring:
    """All keys of one deployment. Rotation puts a new secret first and keeps the old ones after it."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        if not secrets:
            raise ValueError("a keyring needs at least one secret")
        self._keys = [_derive_key(secret) for secret in secrets]

    def encrypt(self, text: bytes, *, context: bytes) -> bytes:
        """Encrypt with AES-256-GCM (NIST SP 800-38D); return key id, 12-byte random nonce, ciphertext and tag.

        `context` names the column and is authenticated, so that a value copied to another column does not
        decrypt there.
        """
        key, nonce = self._keys[0], os.urandom(NONCE_BYTES)
        return key.id + nonce + key.cipher.encrypt(nonce, text, context)

    def decrypt(self, ciphertext: bytes, *, context: bytes) -> bytes:
        """Decrypt a value that `encrypt` returned under any of the keys.

        Raises:
            UnknownKey: no key matches.
            DecryptionError: the value was altered.
        """
        key_id, nonce = ciphertext[:KEY_ID_BYTES], ciphertext[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES]
        for key in self._keys:
            if key.id == key_id:
                try:
                    return key.cipher.decrypt(nonce, ciphertext[KEY_ID_BYTES + NONCE_BYTES :], context)
                except (InvalidTag, ValueError) as error:
                    # A truncated value has an incomplete nonce, for which the cipher raises ValueError.
                    raise DecryptionError("the value was altered") from error
        if len(ciphertext) < MIN_CIPHERTEXT_BYTES:
            raise DecryptionError("the value is too short to be encrypted")
        raise UnknownKey("no key of SECRET_KEYS decrypts this value")

    def is_foreign(self, ciphertext: bytes) -> bool:
        """Whether a value was encrypted with a key that this keyring does not have."""
        is_encrypted = len(ciphertext) >= MIN_CIPHERTEXT_BYTES
        return is_encrypted and all(ciphertext[:KEY_ID_BYTES] != key.id for key in self._keys)

    @property
    def current_id(self) -> bytes:
        """The id of the first key, with which every value begins that it encrypted: 4 bytes."""
        return self._keys[0].id

    def lookup_hashes(self, text: str) -> list[bytes]:
        """Return the HMAC-SHA256 of `text` under every key, the current one first: 32 bytes each."""
        return [hmac.digest(key.hashing, text.encode(), "sha256") for key in self._keys]

    def lookup_hash(self, text: str) -> bytes:
        """Return the HMAC-SHA256 of `text` under the current key: 32 bytes."""
        return hmac.digest(self._keys[0].hashing, text.encode(), "sha256")

    def prefixed_lookup_hashes(self, text: str) -> list[bytes]:
        """Return, for every key, its id and 28 bytes of the HMAC-SHA256 of `text`, the current key first.

        Where the text itself is not stored, the id alone shows which key the row still needs. Truncation to 224
        bits keeps an HMAC secure (RFC 2104, section 5).
        """
        hashes = zip(self._keys, self.lookup_hashes(text), strict=True)
        return [key.id + full_hash[: -len(key.id)] for key, full_hash in hashes]

    @property
    def signing_keys(self) -> list[bytes]:
        """The keys that sign links, the current one first: 32 bytes each."""
        return [key.signing for key in self._keys]


def sha256(text: str) -> bytes:
    """Return the SHA-256 of a value that is random or public, and so needs no key: 32 bytes."""
    return hashlib.sha256(text.encode()).digest()


def _derive_key(secret: str) -> Key:
    return Key(
        id=_derive(secret, "key id", KEY_ID_BYTES),
        cipher=AESGCM(_derive(secret, "encryption", 32)),
        hashing=_derive(secret, "hashing", 32),
        signing=_derive(secret, "signing", 32),
    )


def _derive(secret: str, use: str, length: int) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=length, salt=None, info=f"mainstay {use}".encode())
    return derivation.derive(secret.encode())
