"""Signatures: the vectors, and three verifiers that share no code with the signer."""

import base64
import json
import shutil
import subprocess
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from app.core.secrets import new_webhook_key_pair, new_webhook_secret
from app.webhooks.signing import (
    HmacKey,
    PrivateKey,
    Refusal,
    SignatureError,
    key_from_text,
    sign,
    signed_headers,
    signing_key,
    verify,
    verifying_key,
)
from app.webhooks.vectors import PATH, document

Vector = dict[str, Any]

VECTORS = json.loads(PATH.read_text(encoding="utf-8"))
CASES = VECTORS["cases"]
NAMES = [case["name"] for case in CASES]
IN_TIME = [case for case in CASES if case["expect"] in ("accepted", "no_match")]
WITH_V1 = [case for case in IN_TIME if any(key.startswith("whsec_") for key in case["receiver_keys"])]
WITH_V1A = [case for case in IN_TIME if any(key.startswith("whpk_") for key in case["receiver_keys"])]

SECRET = HmacKey(b"s" * 32)
OTHER = HmacKey(b"o" * 32)
PAIR = PrivateKey.from_bytes(b"p" * 32)
NOW = 1_790_000_000


def test_the_committed_vectors_are_those_the_code_makes() -> None:
    assert PATH.read_text(encoding="utf-8") == document(), "run python -m app.webhooks.vectors"


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_our_receiver_says_what_the_vector_expects(case: Vector) -> None:
    keys = [verifying_key(text) for text in case["receiver_keys"]]
    body = base64.b64decode(case["body_base64"])
    try:
        verify(case["headers"], body, keys, now=case["verify_at"])
        said = "accepted"
    except SignatureError as error:
        said = error.kind.value
    assert said == case["expect"]


def _official_accepts(case: Vector) -> bool:
    """What the official library says; its clock is the wall's, so only the signature is asked of it."""
    headers = case["headers"]
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), tz=UTC)
    given_v1 = [part for part in headers["webhook-signature"].split() if part.startswith("v1,")]
    body = base64.b64decode(case["body_base64"]).decode()
    secrets = [text for text in case["receiver_keys"] if text.startswith("whsec_")]
    made = [standardwebhooks.Webhook(text).sign(headers["webhook-id"], at, body) for text in secrets]
    return bool(set(made) & set(given_v1))


@pytest.mark.parametrize("case", WITH_V1, ids=[case["name"] for case in WITH_V1])
def test_the_official_python_library_and_the_vectors_agree_on_v1(case: Vector) -> None:
    assert _official_accepts(case) == (case["expect"] == "accepted")


def test_the_official_library_accepts_a_rotation_sent_now() -> None:
    text = new_webhook_secret()
    body = b'{"type":"booking.confirmed"}'
    keys = [OTHER, signing_key(text), PAIR]
    headers = signed_headers("0199aa00-1", int(time.time()), body, keys)
    assert standardwebhooks.Webhook(text).verify(body, headers) == {"type": "booking.confirmed"}
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(text).verify(body + b" ", headers)


def test_the_known_answer_of_the_reference_libraries_is_ours_too() -> None:
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [key])
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def _plain_ed25519_accepts(case: Vector) -> bool:
    """A receiver written from the specification alone."""
    headers = case["headers"]
    text = headers["webhook-id"] + "." + headers["webhook-timestamp"] + "."
    signed = text.encode() + base64.b64decode(case["body_base64"])
    for key_text in case["receiver_keys"]:
        if not key_text.startswith("whpk_"):
            continue
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key_text[5:]))
        for part in headers["webhook-signature"].split(" "):
            if part[:4] == "v1a,":
                try:
                    public.verify(base64.b64decode(part[4:]), signed)
                except InvalidSignature:
                    continue
                return True
    return False


@pytest.mark.parametrize("case", WITH_V1A, ids=[case["name"] for case in WITH_V1A])
def test_a_plain_ed25519_verifier_and_the_vectors_agree_on_v1a(case: Vector) -> None:
    assert _plain_ed25519_accepts(case) == (case["expect"] == "accepted")


NODE = r"""
const crypto = require("node:crypto");
const {cases} = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
for (const one of cases.filter(c => c.expect === "accepted" || c.expect === "no_match")) {
  const h = one.headers;
  const start = Buffer.from(h["webhook-id"] + "." + h["webhook-timestamp"] + ".");
  const signed = Buffer.concat([start, Buffer.from(one.body_base64, "base64")]);
  const fits = one.receiver_keys.some(text => h["webhook-signature"].split(" ").some(part => {
    const [version, given] = part.split(",");
    const key = Buffer.from(text.slice(text.indexOf("_") + 1), "base64");
    const raw = Buffer.from(given, "base64");
    if (text.startsWith("whsec_")) {
      const made = crypto.createHmac("sha256", key).update(signed).digest();
      return version === "v1" && made.length === raw.length && crypto.timingSafeEqual(made, raw);
    }
    const jwk = {kty: "OKP", crv: "Ed25519", x: key.toString("base64url")};
    const publicKey = crypto.createPublicKey({key: jwk, format: "jwk"});
    return version === "v1a" && crypto.verify(null, signed, publicKey, raw);
  }));
  console.log(JSON.stringify([one.name, fits ? "accepted" : "no_match"]));
}
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_node_agrees_with_the_vectors_on_both_versions() -> None:
    program = shutil.which("node")
    assert program is not None
    run = subprocess.run([program, "-e", NODE, str(PATH)], capture_output=True, text=True, check=True)
    said = [tuple(json.loads(line)) for line in run.stdout.splitlines()]
    assert said == [(case["name"], case["expect"]) for case in IN_TIME]


def test_signatures_stand_in_the_order_of_the_keys() -> None:
    made = sign("a-1", NOW, b"{}", [SECRET, PAIR, OTHER]).split(" ")
    assert [part.split(",")[0] for part in made] == ["v1", "v1a", "v1"]
    assert made[0] == sign("a-1", NOW, b"{}", [SECRET])


@given(body=st.binary(max_size=200), flip=st.integers(min_value=0, max_value=10_000))
def test_any_altered_bit_of_the_body_is_noticed(body: bytes, flip: int) -> None:
    headers = signed_headers("a-1", NOW, body, [SECRET, PAIR])
    verify(headers, body, [SECRET], now=NOW)
    verify(headers, body, [PAIR.public], now=NOW)
    place = flip % (len(body) + 1)
    altered = body[:place] + bytes([(body[place] if place < len(body) else 0) ^ 1]) + body[place + 1 :]
    for key in (SECRET, PAIR.public):
        with pytest.raises(SignatureError) as caught:
            verify(headers, altered, [key], now=NOW)
        assert caught.value.kind is Refusal.NO_MATCH


@given(text=st.text(max_size=60))
def test_no_signature_header_raises_anything_but_a_refusal(text: str) -> None:
    headers = {"webhook-id": "a-1", "webhook-timestamp": str(NOW), "webhook-signature": text}
    with pytest.raises(SignatureError):
        verify(headers, b"{}", [SECRET, PAIR.public], now=NOW)


def test_header_names_are_read_in_any_case_and_the_message_is_named() -> None:
    headers = {name.title(): value for name, value in signed_headers("a-1", NOW, b"{}", [SECRET]).items()}
    assert verify(headers, b"{}", [SECRET], now=NOW).msg_id == "a-1"


def test_only_so_many_signatures_are_looked_at() -> None:
    good = sign("a-1", NOW, b"{}", [SECRET])
    bad = sign("a-1", NOW, b"{}", [OTHER])
    headers = {"webhook-id": "a-1", "webhook-timestamp": str(NOW)}
    verify({**headers, "webhook-signature": " ".join([bad] * 15 + [good])}, b"{}", [SECRET], now=NOW)
    with pytest.raises(SignatureError):
        verify({**headers, "webhook-signature": " ".join([bad] * 16 + [good])}, b"{}", [SECRET], now=NOW)


@pytest.mark.parametrize("msg_id", ["", "a.b", "a b", "a\n", "é", "x" * 256])
def test_an_id_that_could_move_the_seams_is_not_signed(msg_id: str) -> None:
    with pytest.raises(ValueError, match="id or timestamp"):
        sign(msg_id, NOW, b"{}", [SECRET])


def test_nothing_is_signed_without_a_key_or_before_1970() -> None:
    with pytest.raises(ValueError, match="nothing to sign"):
        sign("a-1", NOW, b"{}", [])
    with pytest.raises(ValueError, match="timestamp"):
        sign("a-1", -1, b"{}", [SECRET])


@pytest.mark.parametrize(
    "text",
    [
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "whsec_***",
        "whsk_" + base64.b64encode(b"x" * 64).decode(),
        "whsk_" + base64.b64encode(b"x" * 31).decode(),
        "whpk_" + base64.b64encode(b"x" * 33).decode(),
        "whatever_" + base64.b64encode(b"x" * 32).decode(),
        "",
    ],
)
def test_a_key_that_is_none_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is what is asserted
        key_from_text(text)
    assert not text or text not in str(caught.value)


def test_a_generated_pair_is_read_back_whole_or_from_its_seed() -> None:
    pair = new_webhook_key_pair()
    whole = key_from_text(pair.secret)
    seed = PrivateKey.from_bytes(base64.b64decode(pair.secret.removeprefix("whsk_"))[:32])
    assert isinstance(whole, PrivateKey)
    assert whole.public.text == seed.public.text == pair.public
    assert verifying_key(pair.secret) == verifying_key(pair.public)
    with pytest.raises(ValueError, match="does not sign"):
        signing_key(pair.public)


def test_keys_do_not_show_themselves() -> None:
    assert base64.b64encode(SECRET.secret).decode() not in repr(SECRET)
    assert "ssss" not in repr(SECRET)
