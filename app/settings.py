"""What can be set, from `TENDAYS_*` variables.

Only main, worker, cli and migrations read them; everybody else is handed values.
"""

import os
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from app.core.addresses import Policy
from app.core.secrets import Keyring, new_master

_CHECKOUT = Path(__file__).resolve().parent.parent
HOME = _CHECKOUT if (_CHECKOUT / "pyproject.toml").exists() else Path.cwd()


class SettingsRefused(Exception):
    """A setting is missing or wrong; the message names the variable and never its value."""


class Settings(BaseSettings):
    """One immutable set of values. Lists are JSON arrays: `TENDAYS_WEBHOOK_PORTS='[443, 8443]'`."""

    model_config = SettingsConfigDict(
        env_prefix="TENDAYS_", frozen=True, env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    # development moves clocks, calls loopback receivers and makes its own secrets; production never does. Without a
    # default: a production where it was forgotten would be a development with real pupils.
    env: Literal["development", "test", "production"]

    # --- the database: one address per role, `postgresql://role:password@host:port/name` --------------
    database_url: str | None = Field(default=None, repr=False, description="as tendays_app; none: embedded")
    worker_database_url: str | None = Field(default=None, repr=False, description="as tendays_worker")
    owner_database_url: str | None = Field(
        default=None, repr=False, description="as tendays_owner: migrations"
    )
    replica_url: str | None = Field(default=None, repr=False, description="as tendays_app, for reads")
    database_pool: int = Field(default=10, ge=1, le=200, description="connections per door and process")
    database_pooling: Literal["transaction"] | None = Field(
        default=None,
        description="the API's addresses lead to a pooler, such as PgBouncer, in transaction mode",
    )
    pg_bin: Path | None = Field(
        default=None, description="programs of another Postgres for the embedded server"
    )
    data_dir: Path = Field(default=HOME / ".tendays", description="what is kept between runs")

    # --- secrets ------------------------------------------------------------------------------------
    # Master keys for sealing, base64 of 32 bytes or more, separated by commas, the newest first.
    secret_key: SecretStr | None = None
    # The key of the indexes (UPNs by HMAC) once the first master key has been retired.
    index_key: SecretStr | None = None

    # --- where it is served ---------------------------------------------------------------------------
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    with_worker: bool = Field(default=False, description="the API process runs the worker, too")
    processes: int = Field(default=1, ge=1, le=64, description="API processes")
    stop_pause_seconds: float = Field(
        default=2.0, ge=0, le=60, description="from `not ready` to the closing of the listener"
    )
    base_url: str | None = Field(default=None, description="as callers see it; the issuer of tokens")
    trusted_proxies: str = Field(default="", description="addresses whose X-Forwarded-* are believed")

    # --- what a caller may take -----------------------------------------------------------------------
    body_limit: int = Field(default=8 * 1024 * 1024, ge=1024, description="bytes of a request's body")
    body_stall_seconds: float = Field(default=30.0, gt=0)
    rate_limit: int = Field(default=1200, ge=1, description="requests per window, client and school")
    rate_window_seconds: int = Field(default=60, ge=1)
    token_rate_limit: int = Field(default=30, ge=1, description="token attempts per window and client")
    token_seconds: int = Field(default=900, ge=60, le=3600, description="life of an access token")

    # --- webhooks -------------------------------------------------------------------------------------
    webhook_allow_http: bool = Field(default=False, description="development always does")
    webhook_allow_private: bool = Field(default=False, description="loopback and private; development does")
    webhook_ports: list[int] = Field(default=[443, 8443], description="development allows any")
    webhook_allow_list: list[str] = Field(default=[], description="host names and CIDR blocks")
    webhook_concurrency: int = Field(default=64, ge=1, le=1024, description="posts under way at a time")
    poll_seconds: float = Field(default=0.25, gt=0, le=60, description="the floor below NOTIFY")

    # --- how long things are kept -----------------------------------------------------------------------
    event_days: int = Field(default=90, ge=7, description="events and deliveries in the feed")
    idempotency_hours: int = Field(default=24, ge=24)

    # --- what is written --------------------------------------------------------------------------------
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics: bool = Field(
        default=False, description="the API answers GET /metrics, to anybody who reaches it"
    )
    metrics_port: int | None = Field(
        default=None, ge=1, le=65535, description="where the worker tells its metrics"
    )
    log_json: bool | None = Field(default=None, description="none: unless a person reads")

    @field_validator("database_url", "worker_database_url", "owner_database_url", "replica_url")
    @classmethod
    def _plain_address(cls, value: str | None) -> str | None:
        """Drivers are our business: `postgres://` and `postgresql+asyncpg://` are taken as `postgresql://`."""
        if not value:
            return None
        scheme, separator, rest = value.partition("://")
        if not separator or scheme.partition("+")[0] not in {"postgres", "postgresql"}:
            raise ValueError("must begin with postgresql://")
        parts = urlsplit(f"postgresql://{rest}")
        try:
            _ = parts.port
        except ValueError:  # its own words would hold a part of the password
            raise ValueError("percent-encode what is special in a password, such as / ? # @ and :") from None
        return f"postgresql://{rest}"

    @field_validator("base_url")
    @classmethod
    def _whole_address(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://x")
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an address such as https://tendays.example")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, value: str) -> str:
        for one in filter(None, map(str.strip, value.split(","))):
            try:
                _ = one == "*" or ip_network(one, strict=False)
            except ValueError:
                raise ValueError("must be addresses or blocks, separated by commas, or *") from None
        return value

    @field_validator("webhook_allow_list")
    @classmethod
    def _hosts_and_blocks(cls, value: list[str]) -> list[str]:
        try:
            Policy(allow_list=tuple(value))
        except ValueError:
            raise ValueError("must be host names, addresses and blocks (CIDR)") from None
        return value

    @field_validator("pg_bin")
    @classmethod
    def _programs(cls, value: Path | None) -> Path | None:
        if value and not (value / "postgres").exists():
            raise ValueError("there is no program `postgres` in that folder")
        return value

    @model_validator(mode="after")
    def _safe_in_production(self) -> Self:
        if self.env != "production":
            return self
        if self.webhook_allow_http or self.webhook_allow_private:
            raise ValueError(
                "TENDAYS_WEBHOOK_ALLOW_HTTP and _ALLOW_PRIVATE are for development; use _ALLOW_LIST"
            )
        if self.base_url and not self.base_url.startswith("https://"):
            raise ValueError("TENDAYS_BASE_URL begins with https:// in production")
        return self

    def require(self, *names: str) -> None:
        """Refuse to go on without these in production, where nothing is guessed or generated."""
        missing = [f"TENDAYS_{name.upper()}" for name in names if getattr(self, name) is None]
        if missing and self.env == "production":
            raise SettingsRefused(f"{', '.join(missing)}: mandatory in production")

    @property
    def development(self) -> bool:
        """Whether clocks may be moved and loopback receivers called."""
        return self.env != "production"

    @property
    def issuer(self) -> str:
        """The address callers use, without a slash at its end."""
        self.require("base_url")
        return (self.base_url or self.local_url).rstrip("/")

    @property
    def local_url(self) -> str:
        """Where this machine finds the API, whatever it is called from outside."""
        return f"http://{'127.0.0.1' if self.host in {'0.0.0.0', '::'} else self.host}:{self.port}"  # noqa: S104

    @property
    def credentials_path(self) -> Path:
        """Where the demonstration's loader writes its clients' secrets (mode 0600)."""
        return self.data_dir / "credentials.json"

    def keyring(self) -> Keyring:
        """The master keys; in development one is made on first use, and kept with mode 0600."""
        self.require("secret_key")
        index = self.index_key.get_secret_value() if self.index_key else None
        try:
            text = self.secret_key.get_secret_value() if self.secret_key else _kept_master(self.data_dir)
        except OSError as error:
            raise SettingsRefused(f"TENDAYS_DATA_DIR: {self.data_dir}: {error.strerror}") from None
        try:
            return Keyring.from_text(text, index)
        except ValueError as error:
            raise SettingsRefused(f"TENDAYS_SECRET_KEY or TENDAYS_INDEX_KEY: {error}") from None

    def webhook_policy(self) -> Policy:
        """Which addresses of strangers may be called."""
        return Policy(
            allow_http=self.webhook_allow_http or self.development,
            allow_private=self.webhook_allow_private or self.development,
            ports=None if self.development else frozenset(self.webhook_ports),
            allow_list=tuple(self.webhook_allow_list),
        )


def load(**given: object) -> Settings:
    """The settings of this process; `given` goes before the environment. Refuses with `SettingsRefused`."""
    try:
        return Settings(**given)  # type: ignore[arg-type] # names and types are checked by the model
    except ValidationError as error:
        faults = (
            _said(".".join(map(str, fault["loc"][:1])), _words(fault["type"], fault["msg"]))
            for fault in error.errors()
        )
        raise SettingsRefused("; ".join(faults)) from None
    except SettingsError as error:  # a list that is no JSON; it names the field, and quotes nothing
        name = next((one for one in Settings.model_fields if f'"{one}"' in str(error)), "")
        raise SettingsRefused(_said(name, "must be a JSON array, such as [443, 8443]")) from None


def _words(kind: str, message: str) -> str:
    """TENDAYS_ENV is the only one that has to be given."""
    if kind == "missing":
        return "is not set. Give `production`, or `development` to try things out without real pupils."
    return message


def _said(place: str, message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"TENDAYS_{place.upper()}: {message}" if place else message


def _kept_master(folder: Path) -> str:
    """The development key of this data folder. Written whole or not at all, however many start at once."""
    path = folder / "secret.key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        half = folder / f"secret.{os.getpid()}"
        half.unlink(missing_ok=True)
        half.touch(mode=0o600)
        half.write_text(new_master())
        with suppress(FileExistsError):  # another process was first: its key is everybody's
            os.link(half, path)
        half.unlink()
    return path.read_text().strip()
