"""All settings of the service: one object, read from flags, `BRANDTOX_*` variables, or defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from serving.index.settings import IndexSettings

_PREFIX = "BRANDTOX_"
INDEX = "Index"


class ServiceSettings(BaseModel):
    """Where the service listens."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. On any other than this machine's own, API keys are needed"
        " (`brandtox keys`).",
    )
    port: int = Field(
        default=8000,
        ge=0,
        le=65535,
        description="Port to listen on; 0 takes a free one, which the log names.",
    )


class ModelSettings(BaseModel):
    """What judges messages."""

    model: Path | None = Field(
        default=None,
        description="Model folder that is used whatever is promoted; by default the model in use in"
        " `models`. A missing, damaged or foreign one stops the start.",
    )
    models: Path = Field(
        default=Path("models"),
        description="Folder of retrained models and of their promotions (`brandtox models`). Without"
        " a promotion the released model that comes with brandtox is in use. A service takes up what"
        " is promoted while it runs.",
    )
    models_poll_seconds: float = Field(
        default=1.0,
        gt=0,
        description="How often a service looks whether another model was promoted; it scores within a few"
        " seconds after that.",
    )
    thresholds: Path | None = Field(
        default=None,
        description="File of the company's own thresholds (`brandtox thresholds fit`); labels follow"
        " them, scores do not change. It is for one model: with another it is not applied, and the log"
        " says so. A missing or damaged one stops the start.",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Batches that the model reads side by side; by default one a core. Fewer leave"
        " room for other programs, more cost memory and gain nothing.",
    )


class LimitSettings(BaseModel):
    """How much a caller may send at once."""

    max_text_characters: int = Field(
        default=100_000,
        ge=1,
        description="Longest text of one message; a longer one is an error in its place. Of what is"
        " let in, the model reads up to 64 windows (about 14,000 tokens) and says `truncated` of"
        " the rest.",
    )
    max_messages: int = Field(
        default=1_000,
        ge=1,
        description="Most messages in one request; more are answered 422. Larger requests keep"
        " their caller waiting longer, and gain nothing: requests share batches.",
    )
    max_body_bytes: int = Field(
        default=8 * 2**20,
        ge=1,
        description="Largest request body; a larger one is answered 413 as soon as that much has"
        " come. Each request in flight may take several times as much memory.",
    )
    max_concurrent_requests: int = Field(
        default=64,
        ge=1,
        description="Requests scored or waiting at once; one more is answered 429 with Retry-After."
        " More make callers wait rather than try again.",
    )
    max_waiting_characters: int = Field(
        default=4_000_000,
        ge=1,
        description="Text that may wait for the model; a request that would exceed it is answered"
        " 429 with Retry-After, unless nothing waits. It bounds how long the last in line waits.",
    )


class StoreSettings(BaseModel):
    """What is kept, where, and for how long."""

    database_url: SecretStr = Field(
        default=SecretStr("sqlite:///brandtox.db"),
        description="Where messages and customers are kept: `sqlite:///FILE` or"
        " `postgresql://USER:PASSWORD@HOST/NAME` (postgres extra). Several services may share a"
        " PostgreSQL; a SQLite file belongs to one.",
    )
    store_text: bool = Field(
        default=True,
        description="False drops each text once it is scored, and keeps scores and a hash only;"
        " evidence can then be counted, not read.",
    )
    retention_days: float | None = Field(
        default=None,
        gt=0,
        description="Messages older than this are deleted once a day, with their verdicts. The index"
        " of a past day is then that of what is left.",
    )


class TimeSettings(BaseModel):
    """How the times of messages and events are read."""

    default_timezone: str | None = Field(
        default=None,
        description="Time zone (such as `Africa/Cairo`) of times that name none; without it they are"
        " refused with `time_zone_missing`.",
    )
    future_seconds: float = Field(
        default=300.0,
        ge=0,
        description="How far ahead of our clock a message may be dated (clocks differ); it is then"
        " taken as sent now. One dated later is refused with `time_in_future`.",
    )

    @field_validator("default_timezone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        try:
            return name and ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is no time zone of the IANA database") from error


class KeySettings(BaseModel):
    """Who may call, and how often."""

    api_keys: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="`auto` needs a key only where others can reach the service (any address but this"
        " machine's own); `required` always; `off` is refused on such an address.",
    )
    requests_per_minute: int = Field(
        default=6_000,
        ge=1,
        description="Requests of one API key in a minute; one more is answered 429 with Retry-After."
        " Where no keys are in use there is no such limit.",
    )


class WebhookSettings(BaseModel):
    """Where alerts are sent."""

    webhook_url: str | None = Field(
        default=None,
        description="Where alerts are sent (HTTPS POST, signed). Addresses of the own network are"
        " refused.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="Key of the signature of webhooks (HMAC-SHA256); needed with `webhook_url`.",
    )


class ReviewSettings(BaseModel):
    """What people are given to read."""

    review_lease_minutes: float = Field(
        default=15.0,
        gt=0,
        description="How long a message of the review queue is one reviewer's; then others may get it.",
    )
    review_window: int = Field(
        default=2_000,
        ge=1,
        le=20_000,
        description="Among so many of the newest messages the review queue looks for what is worth"
        " reading, beside what moves the index of the customers who stand worst. More take longer.",
    )
    review_second_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of what a reviewer gets that another one has read already, to be read blind."
        " Without such second readings nobody knows how far two people agree.",
    )


class PortfolioSettings(BaseModel):
    """Figures over all customers."""

    support_minute_cost: float | None = Field(
        default=None,
        gt=0,
        description="What a minute of support costs, in the currency of the customers' monthly value;"
        " with it a customer's cost stands beside the value.",
    )
    separation_alarm: float = Field(
        default=0.01,
        gt=0,
        le=1,
        description="Share of customers separated from in 12 months above which the portfolio raises"
        " an alarm; more than a few mean that the product or the business is at fault.",
    )


GROUPS: dict[str, type[BaseModel]] = {
    "Service": ServiceSettings,
    "Model": ModelSettings,
    "Limits": LimitSettings,
    "Store": StoreSettings,
    "Times": TimeSettings,
    "API keys": KeySettings,
    "Webhook": WebhookSettings,
    "Review": ReviewSettings,
    "Portfolio": PortfolioSettings,
    INDEX: IndexSettings,
}
"""Headings in the help and in docs/settings.md, with the settings that stand under each."""


class Settings(
    ServiceSettings,
    ModelSettings,
    LimitSettings,
    StoreSettings,
    TimeSettings,
    KeySettings,
    WebhookSettings,
    ReviewSettings,
    PortfolioSettings,
    IndexSettings,
    BaseSettings,
):
    """Each field is the flag `--field-name`, the variable `BRANDTOX_FIELD_NAME`, and a row of
    docs/settings.md, which `make docs` writes from the descriptions here.

    An empty variable counts as unset.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, extra="ignore")


def flag_of(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def variable_of(field: str) -> str:
    return f"{_PREFIX}{field.upper()}"


def default_of(field: FieldInfo) -> Any:
    """What is shown as the default: that of a secret setting is none."""
    default = field.default
    return default.get_secret_value() if isinstance(default, SecretStr) else default
