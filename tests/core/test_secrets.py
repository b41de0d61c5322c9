"""Keys and secrets: what opens, what does not, what survives a rotation, what a scanner can find."""

import base64
import re
import zlib
from typing import Literal

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from app.core.secrets import (
    CLIENT_SECRET_PATTERN,
    Keyring,
    SealError,
    SealFault,
    client_secret_matches,
    hash_client_secret,
    is_client_secret,
    new_client_secret,
    new_master,
    new_webhook_key_pair,
    new_webhook_secret,
)

OLD, NEW = b"o" * 32, b"n" * 32
RING = Keyring([OLD])
ROTATED = Keyring([NEW, OLD])


def _fault(ring: Keyring, purpose: str, sealed: bytes, aad: bytes) -> SealFault:
    with pytest.raises(SealError) as caught:
        ring.open_sealed(purpose, sealed, aad)
    return caught.value.fault


@given(plaintext=st.binary(max_size=100), aad=st.binary(max_size=40))
def test_what_is_sealed_opens_for_its_purpose_and_place(plaintext: bytes, aad: bytes) -> None:
    assert RING.open_sealed("webhook", RING.seal("webhook", plaintext, aad), aad) == plaintext


def test_it_opens_for_no_other_purpose_and_in_no_other_place() -> None:
    sealed = RING.seal("webhook", b"whsec_x", b"endpoint 1")
    assert _fault(RING, "answer", sealed, b"endpoint 1") is SealFault.TAMPERED
    assert _fault(RING, "webhook", sealed, b"endpoint 2") is SealFault.TAMPERED


def test_any_altered_byte_is_noticed() -> None:
    sealed = RING.seal("webhook", b"secret", b"1")
    for place in range(len(sealed)):
        altered = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        expected = (
            SealFault.MALFORMED if place == 0 else SealFault.UNKNOWN_KEY if place < 5 else SealFault.TAMPERED
        )
        assert _fault(RING, "webhook", altered, b"1") is expected


def test_what_is_too_short_is_malformed() -> None:
    for length in range(33):
        assert _fault(RING, "webhook", b"\x01" * length, b"") is SealFault.MALFORMED


def test_the_same_text_is_never_sealed_alike() -> None:
    assert len({RING.seal("webhook", b"same", b"1") for _ in range(100)}) == 100


def test_a_rotation_opens_the_old_and_seals_with_the_new() -> None:
    before = RING.seal("webhook", b"secret", b"1")
    after = ROTATED.seal("webhook", b"secret", b"1")
    assert ROTATED.open_sealed("webhook", before, b"1") == b"secret"
    assert ROTATED.needs_resealing(before)
    assert not ROTATED.needs_resealing(after)
    assert _fault(RING, "webhook", after, b"1") is SealFault.UNKNOWN_KEY
    assert Keyring([NEW]).open_sealed("webhook", after, b"1") == b"secret"


def test_a_rotation_does_not_make_one_pupil_two() -> None:
    upn = "A123456789012"
    assert ROTATED.keyed_hash("upn", upn) == RING.keyed_hash("upn", upn)
    assert ROTATED.index_id == RING.index_id
    dropped = Keyring([NEW])
    assert dropped.keyed_hash("upn", upn) != RING.keyed_hash("upn", upn)
    assert dropped.index_id != RING.index_id
    kept = Keyring([NEW], index_master=OLD)
    assert kept.keyed_hash("upn", upn) == RING.keyed_hash("upn", upn)


def test_hashes_differ_by_purpose_and_value() -> None:
    made = {RING.keyed_hash(purpose, value) for purpose in ("upn", "email") for value in ("a", "b")}
    assert len(made) == 4
    assert all(len(one) == 32 for one in made)


def test_a_subkey_is_hkdf_sha256_of_its_purpose() -> None:
    made = HKDF(algorithm=SHA256(), length=32, salt=b"tendays/1", info=b"subkey:cursor").derive(NEW)
    assert ROTATED.subkeys("cursor")[0] == made
    assert ROTATED.subkeys("cursor") != ROTATED.subkeys("token")
    assert len(ROTATED.subkeys("cursor")) == 2


def test_stored_values_stay_readable_by_later_releases() -> None:
    """What an earlier release sealed and hashed; a change of derivation would lose every stored secret."""
    sealed = bytes.fromhex(SEALED_BY_THE_FIRST_RELEASE)
    assert RING.open_sealed("webhook", sealed, b"1") == b"kept"
    assert RING.keyed_hash("upn", "A123456789012").hex() == HASHED_BY_THE_FIRST_RELEASE


SEALED_BY_THE_FIRST_RELEASE = "011841890ba31bed222ae0eb26fa592a61f602539c33d86538122d7a860705b75230cf252d"
HASHED_BY_THE_FIRST_RELEASE = "1781e31f1468203048998a192dd6d9a459fb9b4a65a65a05bcc4b1f1a8d669ab"


def test_masters_are_read_from_text_and_weak_ones_refused() -> None:
    text = f" {new_master()}, {base64.urlsafe_b64encode(OLD).decode().rstrip('=')}"
    assert Keyring.from_text(text).open_sealed("p", RING.seal("p", b"x", b""), b"") == b"x"
    for weak in ("", ",", base64.b64encode(b"short").decode(), "not base64!", f"{new_master()},x"):
        with pytest.raises(ValueError, match="master"):
            Keyring.from_text(weak)
    with pytest.raises(ValueError, match="twice"):
        Keyring([OLD, OLD])


def test_a_keyring_does_not_show_its_keys() -> None:
    assert repr(ROTATED) == "Keyring(2 masters)"
    assert "whsk_" not in repr(new_webhook_key_pair())


@pytest.mark.parametrize("environment", ["live", "test"])
def test_a_client_secret_can_be_found_by_a_scanner(environment: Literal["live", "test"]) -> None:
    secret = new_client_secret(environment)
    assert re.findall(CLIENT_SECRET_PATTERN, f'key = "{secret}"\n') == [secret]
    assert secret.startswith(f"tds_{environment}_")
    assert len(secret) == len("tds_live_") + 43 + 6
    assert is_client_secret(secret)


def test_the_checksum_is_crc32_of_all_that_stands_before_it() -> None:
    secret = new_client_secret("live")
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    value = 0
    for character in secret[-6:]:
        value = value * 62 + digits.index(character)
    assert value == zlib.crc32(secret[:-6].encode())


def test_a_mistyped_client_secret_is_no_client_secret() -> None:
    secret = new_client_secret("test")
    for place in range(len("tds_test_"), len(secret)):
        other = "a" if secret[place] != "a" else "b"
        assert not is_client_secret(secret[:place] + other + secret[place + 1 :])
    assert not is_client_secret(secret.replace("test", "live"))
    assert not is_client_secret(secret + "\n")
    assert not is_client_secret("")


def test_client_secrets_are_drawn_from_the_whole_of_256_bits() -> None:
    drawn = [new_client_secret("live") for _ in range(500)]
    assert len(set(drawn)) == 500
    assert len({secret[9] for secret in drawn}) > 40


def test_a_stored_hash_knows_its_secret_and_no_other() -> None:
    secret = new_client_secret("live")
    stored = hash_client_secret(secret)
    assert len(stored) == 32
    assert client_secret_matches(secret, stored)
    assert not client_secret_matches(new_client_secret("live"), stored)
    assert not client_secret_matches("", stored)
    assert not client_secret_matches("ünïcode", stored)


def test_webhook_secrets_have_the_form_of_the_standard() -> None:
    assert len(base64.b64decode(new_webhook_secret().removeprefix("whsec_"), validate=True)) == 32
    pair = new_webhook_key_pair()
    whole = base64.b64decode(pair.secret.removeprefix("whsk_"), validate=True)
    assert whole[32:] == base64.b64decode(pair.public.removeprefix("whpk_"), validate=True)
