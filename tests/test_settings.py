"""What can be set is refused by name when it is wrong, and production guesses nothing."""

import stat
from pathlib import Path

import pytest

from app.settings import SettingsRefused, load

PRODUCTION = {
    "env": "production",
    "database_url": "postgresql://tendays_app:secret@db/tendays",
    "secret_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "base_url": "https://tendays.example/",
}


def test_development_needs_nothing_and_keeps_its_key_to_itself(tmp_path: Path) -> None:
    settings = load(env="test", data_dir=tmp_path / "kept")
    settings.keyring()
    assert settings.development
    assert settings.issuer == "http://127.0.0.1:8000"
    assert stat.S_IMODE((tmp_path / "kept" / "secret.key").stat().st_mode) == 0o600
    kept = (tmp_path / "kept" / "secret.key").read_text()
    load(env="test", data_dir=tmp_path / "kept").keyring()
    assert (tmp_path / "kept" / "secret.key").read_text() == kept


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "many"),
        ("env", "staging"),
        ("processes", "0"),
        ("database_url", "mysql://x:hunter2@y/z"),
        ("database_url", "postgresql://x:hunter2/y@z/w"),
        ("replica_url", "z"),
        ("base_url", "tendays.example"),
        ("webhook_ports", "443"),
        ("webhook_ports", "443, 8443"),
        ("webhook_ports", '["many"]'),
        ("webhook_allow_list", '["300.1.2.3/8"]'),
        ("trusted_proxies", "proxy.hunter2"),
        ("pg_bin", "/nowhere"),
        ("database_pooling", "session"),
        ("log_json", "perhaps"),
        ("poll_seconds", "nan"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name_and_never_quoted(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"TENDAYS_{name.upper()}", value)
    with pytest.raises(SettingsRefused, match=f"TENDAYS_{name.upper()}") as refused:
        load(**{} if name == "env" else {"env": "test"})
    assert "hunter2" not in str(refused.value)


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENDAYS_OWNER_DATABASE_URL", "")
    assert load(env="test").owner_database_url is None


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_every_spelling_of_a_postgres_address_is_taken(scheme: str) -> None:
    assert load(env="test", database_url=f"{scheme}://u:p@h/d").database_url == "postgresql://u:p@h/d"


def test_production_is_strict_with_strangers_addresses() -> None:
    policy = load(**PRODUCTION).webhook_policy()
    assert not policy.allow_http
    assert not policy.allow_private
    assert policy.ports == frozenset({443, 8443})
    assert load(env="test").webhook_policy().allow_private


@pytest.mark.parametrize(
    "change",
    [{"webhook_allow_http": True}, {"webhook_allow_private": True}, {"base_url": "http://tendays.example"}],
)
def test_production_refuses_what_is_for_development(change: dict[str, object]) -> None:
    with pytest.raises(SettingsRefused):
        load(**PRODUCTION | change)


def test_production_makes_no_key_of_its_own(tmp_path: Path) -> None:
    settings = load(env="production", data_dir=tmp_path)
    with pytest.raises(SettingsRefused, match="TENDAYS_SECRET_KEY"):
        settings.keyring()
    with pytest.raises(SettingsRefused, match="TENDAYS_DATABASE_URL, TENDAYS_BASE_URL"):
        settings.require("database_url", "base_url")
    assert not list(tmp_path.iterdir())


def test_a_secret_is_not_shown_when_the_settings_are() -> None:
    shown = repr(load(**PRODUCTION))
    assert ":secret@" not in shown
    assert "AAAA" not in shown


def test_whether_it_is_production_is_never_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENDAYS_ENV", raising=False)
    with pytest.raises(SettingsRefused, match=r"^TENDAYS_ENV: is not set"):
        load(**{name: value for name, value in PRODUCTION.items() if name != "env"})
