"""Keys and secrets: sealing at rest, keyed indexes, client secrets, webhook signing secrets."""

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FORMAT = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_HEAD_BYTES = len(_FORMAT) + _KEY_ID_BYTES + _NONCE_BYTES
_TAG_BYTES = 16
_MASTER_BYTES = 32

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY = 43  # 62**43 > 2**256
_CHECK = 6  # 62**6 > 2**32

CLIENT_SECRET_PATTERN = rf"tds_(?:live|test)_[0-9A-Za-z]{{{_BODY + _CHECK}}}"
"""What a secret scanner has to look for; `is_client_secret` then checks the checksum."""


class SealFault(StrEnum):
    """Why something sealed does not open."""

    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    TAMPERED = "tampered"  # or sealed for another purpose, or beside other data


class SealError(Exception):
    """What was sealed cannot be opened here; `fault` says why."""

    def __init__(self, fault: SealFault) -> None:
        self.fault = fault
        super().__init__(f"sealed value: {fault.value}")


class Keyring:
    """The master keys of the house, and everything that is derived from them.

    The first master seals; all of them open, so a key is rotated by putting a new one in front, and dropped
    when `needs_resealing` is true of nothing stored. Hashes that are stored as an index cannot rotate that
    way: they use `index_master`, by default the *last* of the list (the oldest). Compare `index_id` at start
    with the one kept beside the data: under another key the same UPN would be a second person.

    Masters are 32 bytes or more, from a random source. Raises ValueError for fewer, for none and for one
    named twice.
    """

    def __init__(self, masters: Sequence[bytes], index_master: bytes | None = None) -> None:
        if not masters:
            raise ValueError("a master key is needed")
        self._masters = tuple(masters)
        self._index = self._masters[-1] if index_master is None else index_master
        if any(len(master) < _MASTER_BYTES for master in (*self._masters, self._index)):
            raise ValueError(f"a master key has at least {_MASTER_BYTES} bytes")
        self._by_id = {_key_id(master): master for master in self._masters}
        if len(self._by_id) != len(self._masters):
            raise ValueError("a master key is named twice")

    @classmethod
    def from_text(cls, masters: str, index_master: str | None = None) -> "Keyring":
        """From base64 or base64url text, several masters separated by commas, as settings hold them."""
        keys = [_from_base64(part) for part in masters.split(",") if part.strip()]
        return cls(keys, _from_base64(index_master) if index_master else None)

    def __repr__(self) -> str:
        return f"Keyring({len(self._masters)} masters)"

    @property
    def index_id(self) -> str:
        """Which key the stored hashes stand on: 8 hexadecimal digits that tell nothing of the key."""
        return _key_id(self._index).hex()

    def subkeys(self, purpose: str) -> tuple[bytes, ...]:
        """32 bytes per master for one purpose, the one for new things first; HKDF-SHA256 (RFC 5869)."""
        return tuple(_derive(master, f"subkey:{purpose}") for master in self._masters)

    def seal(self, purpose: str, plaintext: bytes, aad: bytes) -> bytes:
        """AES-256-GCM under the purpose's key, tied to `aad` (a row's id): it opens nowhere else.

        Format: 0x01, key id (4 bytes), nonce (12, random), ciphertext and tag. A random nonce is good for
        2**32 seals per purpose and master (NIST SP 800-38D).
        """
        master = self._masters[0]
        head = _FORMAT + _key_id(master)
        nonce = os.urandom(_NONCE_BYTES)
        return head + nonce + _cipher(master, purpose).encrypt(nonce, plaintext, head + aad)

    def open_sealed(self, purpose: str, sealed: bytes, aad: bytes) -> bytes:
        """What was sealed for this purpose beside this `aad`. Raises SealError."""
        if len(sealed) < _HEAD_BYTES + _TAG_BYTES or sealed[:1] != _FORMAT:
            raise SealError(SealFault.MALFORMED)
        head, nonce = sealed[: 1 + _KEY_ID_BYTES], sealed[1 + _KEY_ID_BYTES : _HEAD_BYTES]
        master = self._by_id.get(head[1:])
        if master is None:
            raise SealError(SealFault.UNKNOWN_KEY)
        try:
            return _cipher(master, purpose).decrypt(nonce, sealed[_HEAD_BYTES:], head + aad)
        except InvalidTag:
            raise SealError(SealFault.TAMPERED) from None

    def opens(self, sealed: bytes) -> bool:
        """Whether it was sealed under one of these masters; its head (5 bytes) is enough to say."""
        return sealed[1 : 1 + _KEY_ID_BYTES] in self._by_id

    def needs_resealing(self, sealed: bytes) -> bool:
        """Whether it was sealed under a master that is not the first any more."""
        return sealed[1 : 1 + _KEY_ID_BYTES] != _key_id(self._masters[0])

    def keyed_hash(self, purpose: str, value: str) -> bytes:
        """HMAC-SHA256 of the UTF-8 text, 32 bytes: an index on what may not be read (a UPN).

        Keyed, because the 10**12 or so possible UPNs could be tried in an afternoon. The caller normalises
        the value.
        """
        return hmac.digest(_derive(self._index, f"index:{purpose}"), value.encode(), "sha256")


def _key_id(master: bytes) -> bytes:
    return _derive(master, "key id")[:_KEY_ID_BYTES]


def _derive(master: bytes, info: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=b"tendays/1", info=info.encode()).derive(master)


def _cipher(master: bytes, purpose: str) -> AESGCM:
    return AESGCM(_derive(master, f"seal:{purpose}"))


def _from_base64(text: str) -> bytes:
    plain = text.strip().translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        raise ValueError("a master key is not base64") from None


def new_master() -> str:
    """A fresh master key as text for the settings (base64 of 32 random bytes)."""
    return base64.b64encode(os.urandom(_MASTER_BYTES)).decode()


def new_client_secret(environment: Literal["live", "test"]) -> str:
    """`tds_live_` or `tds_test_`, 43 base62 characters (256 random bits), 6 of checksum.

    The prefix lets scanners find one that leaked, the CRC-32 of all that stands before it lets them (and us)
    drop a false one without asking the database; the same idea as GitHub's tokens.
    """
    body = f"tds_{environment}_{_base62(secrets.randbits(256), _BODY)}"
    return body + _base62(zlib.crc32(body.encode()), _CHECK)


def is_client_secret(text: str) -> bool:
    """Whether the text has the form and the checksum of a client secret; not whether it is one."""
    if re.fullmatch(CLIENT_SECRET_PATTERN, text) is None:
        return False
    return _base62(zlib.crc32(text[:-_CHECK].encode()), _CHECK) == text[-_CHECK:]


def hash_client_secret(secret: str) -> bytes:
    """What is stored of a client secret: SHA-256, 32 bytes.

    No salt and no slow function, on purpose. They protect what people choose; 256 random bits can be neither
    guessed nor listed, and an argon2 per token request would only be a way to keep us busy.
    """
    return hashlib.sha256(secret.encode()).digest()


def client_secret_matches(secret: str, stored: bytes) -> bool:
    """Whether the secret is the stored one, in a time that does not depend on how nearly it is."""
    return hmac.compare_digest(hash_client_secret(secret), stored)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, rest = divmod(number, 62)
        digits.append(_BASE62[rest])
    return "".join(reversed(digits))


def new_webhook_secret() -> str:
    """`whsec_` and base64 of 32 random bytes (Standard Webhooks 1.0.0 asks for 24 to 64)."""
    return "whsec_" + base64.b64encode(os.urandom(32)).decode()


@dataclass(frozen=True)
class WebhookKeyPair:
    """An ed25519 pair: `secret` (`whsk_...`) stays in the house, `public` (`whpk_...`) is published."""

    secret: str
    public: str

    def __repr__(self) -> str:
        return f"WebhookKeyPair(public={self.public!r})"


def new_webhook_key_pair() -> WebhookKeyPair:
    """A fresh pair; the secret is base64 of seed and public key (64 bytes), as other senders write it."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    whole = private.private_bytes_raw() + public
    return WebhookKeyPair(
        "whsk_" + base64.b64encode(whole).decode(), "whpk_" + base64.b64encode(public).decode()
    )
