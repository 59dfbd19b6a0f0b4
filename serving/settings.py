"""All settings of the service: one object, read from flags, `BRANDTOX_*` variables, or defaults."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_PREFIX = "BRANDTOX_"


class Settings(BaseSettings):
    """Each field is the flag `--field-name`, the variable `BRANDTOX_FIELD_NAME`, and a row of
    docs/settings.md, which `make docs` writes from the descriptions here.

    An empty variable counts as unset.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, extra="ignore")

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. There is no login: 0.0.0.0 lets everyone who can reach"
        " the machine score texts.",
    )
    port: int = Field(
        default=8000,
        ge=0,
        le=65535,
        description="Port to listen on; 0 takes a free one, which the log names.",
    )
    model: Path | None = Field(
        default=None,
        description="Model folder; by default the released model that comes with brandtox. A missing,"
        " damaged or foreign one stops the start.",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Batches that the model reads side by side; by default one a core. Fewer leave"
        " room for other programs, more cost memory and gain nothing.",
    )
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


def flag_of(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def variable_of(field: str) -> str:
    return f"{_PREFIX}{field.upper()}"
