"""Standard Webhooks 1.0.0: signing what we send, and verifying it as a receiver does."""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

TOLERANCE_SECONDS = 300
_LEAST_SECRET, _MOST_SECRET = 24, 64  # bytes, Standard Webhooks 1.0.0
_SEED = 32  # bytes, and as many for a public key
MOST_SIGNATURES = 16  # a receiver should not be kept busy by a long header

_ID = re.compile(r"[!-\-/-~]{1,255}")  # printable ASCII without the full stop, which would move the seams
_TIMESTAMP = re.compile(r"(?:0|[1-9][0-9]{0,11})", re.ASCII)


@dataclass(frozen=True)
class HmacKey:
    """A shared secret (`whsec_...`): 24 to 64 bytes, signs and verifies as `v1` (HMAC-SHA256)."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _LEAST_SECRET <= len(self.secret) <= _MOST_SECRET:
            raise ValueError("a whsec_ secret has 24 to 64 bytes")


@dataclass(frozen=True)
class PrivateKey:
    """An ed25519 secret key (`whsk_...`), ours alone: signs as `v1a`."""

    key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> "PublicKey":
        """The half that receivers get."""
        return PublicKey(self.key.public_key())

    @classmethod
    def from_bytes(cls, raw: bytes) -> "PrivateKey":
        """From a 32-byte seed, or seed and public key (64 bytes), which then have to agree."""
        seed, public = raw[:_SEED], raw[_SEED:]
        if len(seed) != _SEED or len(public) not in (0, _SEED):
            raise ValueError("a whsk_ key has 32 or 64 bytes")
        key = Ed25519PrivateKey.from_private_bytes(seed)
        if public and key.public_key().public_bytes_raw() != public:
            raise ValueError("a whsk_ key whose halves do not belong together")
        return cls(key)


@dataclass(frozen=True)
class PublicKey:
    """An ed25519 public key (`whpk_...`): verifies `v1a`."""

    key: Ed25519PublicKey = field(repr=False)

    @property
    def text(self) -> str:
        """`whpk_` and base64 of the 32 bytes."""
        return "whpk_" + base64.b64encode(self.key.public_bytes_raw()).decode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> "PublicKey":
        """From its 32 bytes."""
        return cls(Ed25519PublicKey.from_public_bytes(raw))


SigningKey = HmacKey | PrivateKey
VerifyingKey = HmacKey | PublicKey
Key = HmacKey | PrivateKey | PublicKey


def key_from_text(text: str) -> Key:
    """The key that `whsec_`, `whsk_` or `whpk_` text stands for. Raises ValueError that hides the text."""
    prefix, separator, rest = text.strip().partition("_")
    try:
        raw = base64.b64decode(rest + "=" * (-len(rest) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a webhook key that is not base64") from None
    match prefix + separator:
        case "whsec_":
            return HmacKey(raw)
        case "whsk_":
            return PrivateKey.from_bytes(raw)
        case "whpk_":
            return PublicKey.from_bytes(raw)
    raise ValueError("a webhook key begins with whsec_, whsk_ or whpk_")


def signing_key(text: str) -> SigningKey:
    """A key to sign with: `whsec_` or `whsk_` text. Raises ValueError, for a public key too."""
    match key_from_text(text):
        case PublicKey():
            raise ValueError("a whpk_ key verifies, it does not sign")
        case key:
            return key


def verifying_key(text: str) -> VerifyingKey:
    """A key to verify with: `whsec_` or `whpk_` text, or `whsk_` for its public half. Raises ValueError."""
    key = key_from_text(text)
    return key.public if isinstance(key, PrivateKey) else key


def sign(msg_id: str, timestamp: int, body: bytes, keys: Sequence[SigningKey]) -> str:
    """The value of `webhook-signature`: one signature per key, separated by spaces, in the order of the keys.

    `timestamp` is unix seconds of this attempt. During a rotation the new key stands first, the old one after
    it. Raises ValueError for no key, a negative time, or an id that is empty, too long, not ASCII or holds a
    full stop.
    """
    if not keys:
        raise ValueError("nothing to sign with")
    if not _ID.fullmatch(msg_id) or not _TIMESTAMP.fullmatch(str(timestamp)):
        raise ValueError("a webhook id or timestamp that cannot be signed")
    content = _content(msg_id, str(timestamp), body)
    return " ".join(_sign_one(content, key) for key in keys)


def signed_headers(msg_id: str, timestamp: int, body: bytes, keys: Sequence[SigningKey]) -> dict[str, str]:
    """The three headers of an attempt, signed as `sign` does, which also says what is refused."""
    signature = sign(msg_id, timestamp, body, keys)
    return {"webhook-id": msg_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def _content(msg_id: str, timestamp: str, body: bytes) -> bytes:
    return b".".join((msg_id.encode(), timestamp.encode(), body))


def _sign_one(content: bytes, key: SigningKey) -> str:
    if isinstance(key, HmacKey):
        return "v1," + base64.b64encode(hmac.digest(key.secret, content, "sha256")).decode()
    return "v1a," + base64.b64encode(key.key.sign(content)).decode()


class Refusal(StrEnum):
    """Why a message is not believed."""

    MISSING_HEADER = "missing_header"
    MALFORMED_ID = "malformed_id"
    MALFORMED_TIMESTAMP = "malformed_timestamp"
    TOO_OLD = "too_old"
    TOO_NEW = "too_new"
    MALFORMED_SIGNATURE = "malformed_signature"  # nothing has the form of a signature that we know
    NO_MATCH = "no_match"


class SignatureError(Exception):
    """The message is not to be believed; `kind` says why."""

    def __init__(self, kind: Refusal, detail: str) -> None:
        self.kind = kind
        super().__init__(detail)


@dataclass(frozen=True)
class Verified:
    """A message that is what its sender signed; a receiver remembers `msg_id`, to do each thing once."""

    msg_id: str
    timestamp: int


def verify(
    headers: Mapping[str, str],
    body: bytes,
    keys: Sequence[VerifyingKey],
    *,
    now: float,
    tolerance_seconds: int = TOLERANCE_SECONDS,
) -> Verified:
    """What a receiver does with the raw body and the headers (names in any case). Raises SignatureError.

    One signature that fits one key is enough; versions that are not known are passed over. `now` is unix
    seconds. All pairs are compared, each in constant time, so the time taken tells nothing of which one
    fitted.
    """
    given = {name.lower(): value for name, value in headers.items()}
    msg_id, stamp = _required(given, "webhook-id"), _required(given, "webhook-timestamp")
    offered = _signatures(_required(given, "webhook-signature"))
    if not _ID.fullmatch(msg_id):
        raise SignatureError(Refusal.MALFORMED_ID, "webhook-id is not printable ASCII without a full stop")
    timestamp = _timely(stamp, now, tolerance_seconds)
    if not offered:
        raise SignatureError(Refusal.MALFORMED_SIGNATURE, "webhook-signature holds no v1 or v1a signature")
    content = _content(msg_id, stamp, body)
    fits = [_fits(content, version, raw, key) for version, raw in offered for key in keys]
    if not any(fits):
        raise SignatureError(Refusal.NO_MATCH, "no signature fits the id, the timestamp and the raw body")
    return Verified(msg_id, timestamp)


def _required(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "").strip()
    if not value:
        raise SignatureError(Refusal.MISSING_HEADER, f"{name} is missing")
    return value


def _timely(stamp: str, now: float, tolerance: int) -> int:
    if not _TIMESTAMP.fullmatch(stamp):
        raise SignatureError(Refusal.MALFORMED_TIMESTAMP, "webhook-timestamp is not whole unix seconds")
    timestamp = int(stamp)
    if timestamp < now - tolerance:
        raise SignatureError(Refusal.TOO_OLD, f"webhook-timestamp is more than {tolerance} seconds ago")
    if timestamp > now + tolerance:
        raise SignatureError(Refusal.TOO_NEW, f"webhook-timestamp is more than {tolerance} seconds ahead")
    return timestamp


def _signatures(header: str) -> list[tuple[str, bytes]]:
    found = []
    for part in header.split()[:MOST_SIGNATURES]:
        version, _, text = part.partition(",")
        raw = _decoded(text)
        if raw is not None and (version, len(raw)) in (("v1", 32), ("v1a", 64)):
            found.append((version, raw))
    return found


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _fits(content: bytes, version: str, raw: bytes, key: VerifyingKey) -> bool:
    if isinstance(key, HmacKey):
        return version == "v1" and hmac.compare_digest(hmac.digest(key.secret, content, "sha256"), raw)
    if version != "v1a":
        return False
    try:
        key.key.verify(raw, content)
    except InvalidSignature:
        return False
    return True
