"""Signature vectors for receivers' developers; `python -m app.webhooks.vectors` writes them."""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.webhooks.signing import HmacKey, PrivateKey, PublicKey, Refusal, SigningKey, signed_headers

PATH = Path("openapi/vectors/signatures.json")

_ID = "0199aa00-0000-7000-8000-000000000001"
_AT = 1_790_000_000
_BODY = (
    b'{"type":"booking.confirmed","timestamp":"2026-09-21T13:33:20Z","data":{"id":"0199aa00","places":25}}'
)
_NOTE = (
    "Made keys: never use them. Signed text: webhook-id, a full stop, webhook-timestamp, a full stop, "
    "the raw body. verify_at is the receiver's clock in unix seconds, the tolerance is 300 s. expect is "
    "`accepted`, or the kind of the refusal."
)


def _seed(name: str) -> bytes:
    return hashlib.sha256(f"tendays vector {name}".encode()).digest()


_SECRET, _OLD_SECRET = HmacKey(_seed("secret")), HmacKey(_seed("old secret"))
_PAIR, _OLD_PAIR = PrivateKey.from_bytes(_seed("pair")), PrivateKey.from_bytes(_seed("old pair"))
_SHORTEST, _LONGEST = HmacKey(_seed("shortest")[:24]), HmacKey(_seed("long") + _seed("longer"))


@dataclass(frozen=True)
class Case:
    """One message as it arrives: headers, raw body, the receiver's keys and clock, what it has to say."""

    name: str
    headers: dict[str, str]
    body: bytes
    receiver_keys: tuple[HmacKey | PublicKey, ...]
    verify_at: int = _AT
    expect: str = "accepted"

    def held(self, *keys: SigningKey) -> "Case":
        """The same for a receiver that holds these keys (their public half)."""
        return replace(self, receiver_keys=tuple(_for_receiver(key) for key in keys))

    def with_header(self, name: str, value: str) -> "Case":
        """The same with one header altered on the way."""
        return replace(self, headers=self.headers | {name: value})

    def without_header(self, name: str) -> "Case":
        """The same with one header lost on the way."""
        return replace(self, headers={key: value for key, value in self.headers.items() if key != name})

    def refused(self, kind: Refusal) -> "Case":
        """The same, to be refused."""
        return replace(self, expect=kind.value)

    def as_json(self) -> dict[str, object]:
        """As it stands in the file; keys in the order of the file."""
        return {
            "name": self.name,
            "receiver_keys": [_key_text(key) for key in self.receiver_keys],
            "headers": self.headers,
            "body_base64": base64.b64encode(self.body).decode(),
            "verify_at": self.verify_at,
            "expect": self.expect,
        }


def _for_receiver(key: SigningKey) -> HmacKey | PublicKey:
    return key if isinstance(key, HmacKey) else key.public


def _key_text(key: HmacKey | PublicKey) -> str:
    return key.text if isinstance(key, PublicKey) else "whsec_" + base64.b64encode(key.secret).decode()


def _sent(name: str, *keys: SigningKey, body: bytes = _BODY) -> Case:
    return Case(name, signed_headers(_ID, _AT, body, keys), body, ()).held(*keys)


def _accepted() -> Iterator[Case]:
    yield _sent("v1", _SECRET)
    yield _sent("v1a", _PAIR)
    yield _sent("v1 and v1a, the receiver holds the secret", _SECRET, _PAIR).held(_SECRET)
    yield _sent("v1 and v1a, the receiver holds the public key", _SECRET, _PAIR).held(_PAIR)
    yield _sent("v1 in rotation, the receiver holds the new secret", _SECRET, _OLD_SECRET).held(_SECRET)
    yield _sent("v1 in rotation, the receiver holds the old secret", _SECRET, _OLD_SECRET).held(_OLD_SECRET)
    yield _sent("v1a in rotation, the receiver holds the new key", _PAIR, _OLD_PAIR).held(_PAIR)
    yield _sent("v1a in rotation, the receiver holds the old key", _PAIR, _OLD_PAIR).held(_OLD_PAIR)
    yield _sent("the receiver holds both of its own rotation", _SECRET).held(_OLD_SECRET, _SECRET)
    yield _sent("v1 with the shortest secret, 24 bytes", _SHORTEST)
    yield _sent("v1 with the longest secret, 64 bytes", _LONGEST)
    yield _sent("empty body", _SECRET, _PAIR, body=b"")
    yield _sent("body beyond ASCII", _SECRET, _PAIR, body='{"ysgol":"Tŷ Gwyn","🎒":1}'.encode())
    yield _sent("body with full stops and line ends", _SECRET, _PAIR, body=b'{\r\n "a": "1.2.3"\n}\n')
    yield _sent("body of 20 kB", _SECRET, _PAIR, body=b'{"pad":"' + b"x" * 20_000 + b'"}')
    plain = _sent("a version of the future is passed over", _SECRET)
    yield plain.with_header("webhook-signature", "v9,AA== " + plain.headers["webhook-signature"])
    yield replace(_sent("old, at the edge of the tolerance", _SECRET), verify_at=_AT + 300)
    yield replace(_sent("new, at the edge of the tolerance", _SECRET), verify_at=_AT - 300)


def _altered() -> Iterator[Case]:
    both = (_SECRET, _PAIR)
    yield replace(_sent("one byte of the body altered", *both), body=_BODY.replace(b"25", b"26"))
    yield replace(_sent("body parsed and written again", *both), body=_BODY.replace(b":", b": "))
    yield _sent("another id", *both).with_header("webhook-id", "0199aa00-0000-7000-8000-000000000002")
    yield _sent("another timestamp", *both).with_header("webhook-timestamp", str(_AT + 1))
    yield _sent("v1 under another secret", _SECRET).held(_OLD_SECRET)
    yield _sent("v1a under another key", _PAIR).held(_OLD_PAIR)
    yield _sent("v1 only, the receiver holds a public key", _SECRET).held(_PAIR)


def _out_of_time_or_form() -> Iterator[Case]:
    yield replace(_sent("stale", _SECRET), verify_at=_AT + 301).refused(Refusal.TOO_OLD)
    yield replace(_sent("ahead of its time", _SECRET), verify_at=_AT - 301).refused(Refusal.TOO_NEW)
    for header in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        yield _sent(f"no {header}", _SECRET).without_header(header).refused(Refusal.MISSING_HEADER)
    for stamp in ("2026-09-21T13:33:20Z", f"{_AT}.5", f"+{_AT}", f"0{_AT}"):
        case = _sent(f"the timestamp {stamp}", _SECRET).with_header("webhook-timestamp", stamp)
        yield case.refused(Refusal.MALFORMED_TIMESTAMP)
    yield (
        _sent("an id with a full stop", _SECRET)
        .with_header("webhook-id", "a.b")
        .refused(Refusal.MALFORMED_ID)
    )
    plain = _sent("", _SECRET).headers["webhook-signature"]
    for name, signature in (
        ("a version that nobody knows", plain.replace("v1,", "v9,")),
        ("a signature without its version", plain.removeprefix("v1,")),
        ("a signature cut short", plain[:-8]),
    ):
        case = _sent(name, _SECRET).with_header("webhook-signature", signature)
        yield case.refused(Refusal.MALFORMED_SIGNATURE)


def cases() -> Sequence[Case]:
    """All vectors, the accepted ones first."""
    altered = (case.refused(Refusal.NO_MATCH) for case in _altered())
    return [*_accepted(), *altered, *_out_of_time_or_form()]


def document() -> str:
    """The vectors as they stand in the repository: JSON, with a last line end."""
    whole = {"standard_webhooks": "1.0.0", "note": _NOTE, "cases": [case.as_json() for case in cases()]}
    return json.dumps(whole, indent=1) + "\n"


if __name__ == "__main__":
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(document(), encoding="utf-8")
