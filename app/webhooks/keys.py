"""The keys of an endpoint: made in pairs, sealed beside its id, opened to sign."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from app.core.secrets import Keyring, new_webhook_key_pair, new_webhook_secret
from app.webhooks.signing import HmacKey, PrivateKey, SigningKey, key_from_text, signing_key

_SECRET, _PRIVATE = "webhook secret", "webhook private key"  # purposes of the keyring


@dataclass(frozen=True, slots=True)
class Keys:
    """Fresh keys of one endpoint: `secret` is shown once, the private key never, the public key to everybody."""

    secret: str = field(repr=False)
    secret_sealed: bytes = field(repr=False)
    private_key_sealed: bytes = field(repr=False)
    public_key: str

    def columns(self) -> dict[str, object]:
        """As the table keeps them."""
        return {
            "secret_sealed": self.secret_sealed,
            "private_key_sealed": self.private_key_sealed,
            "public_key": self.public_key,
        }


def new_keys(keyring: Keyring, endpoint_id: UUID) -> Keys:
    """A `whsec_` secret and an ed25519 pair, whichever of the two signs today: the other may be asked for later."""
    secret, pair = new_webhook_secret(), new_webhook_key_pair()
    beside = endpoint_id.bytes
    return Keys(
        secret,
        keyring.seal(_SECRET, secret.encode(), beside),
        keyring.seal(_PRIVATE, pair.secret.encode(), beside),
        pair.public,
    )


class Signs(Protocol):
    """An endpoint with its sealed keys, as far as signing needs it."""

    @property
    def endpoint_id(self) -> UUID:
        """Beside which its keys are sealed."""

    @property
    def signatures(self) -> list[str]:
        """`v1`, `v1a` or both."""

    @property
    def secret_sealed(self) -> bytes:
        """The secret of `v1`."""

    @property
    def private_key_sealed(self) -> bytes | None:
        """The key of `v1a`."""

    @property
    def old_secret_sealed(self) -> bytes | None:
        """The one before, while the grace of a rotation lasts."""

    @property
    def old_private_key_sealed(self) -> bytes | None:
        """As above."""


def signing_keys(keyring: Keyring, claimed: Signs) -> list[SigningKey]:
    """The keys that sign an attempt: new ones first, then those of a rotation in its grace. Raises SealError."""
    sealed = {
        "v1": ((_SECRET, claimed.secret_sealed), (_SECRET, claimed.old_secret_sealed)),
        "v1a": ((_PRIVATE, claimed.private_key_sealed), (_PRIVATE, claimed.old_private_key_sealed)),
    }
    found: list[SigningKey] = []
    for version in claimed.signatures:
        for purpose, parcel in sealed[version]:
            if parcel is None:
                continue
            text = keyring.open_sealed(purpose, parcel, claimed.endpoint_id.bytes).decode()
            key = key_from_text(text)
            if isinstance(key, HmacKey | PrivateKey):
                found.append(key)
    return found


def strangers_keys(signatures: Sequence[str]) -> list[SigningKey]:
    """Keys that no receiver of ours has, one for each way of signing: to see whether it looks."""
    return [
        signing_key(new_webhook_secret() if version == "v1" else new_webhook_key_pair().secret)
        for version in signatures
    ]
