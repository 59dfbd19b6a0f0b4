"""API keys: only a hash is kept, so that nobody reads a key out of the database."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from serving.store.tables import api_keys

SCOPES = ("classify", "write", "read", "review", "admin")
"""`admin` may do everything, and alone deletes and exports customers."""

_PREFIX = "btx_"
_BYTES = 32
_SHAPE = re.compile(_PREFIX + "[A-Za-z0-9_-]{43}")
"""43 characters of base64 hold 32 bytes."""


@dataclass(frozen=True)
class Key:
    """A key that is in use."""

    id: str
    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes


def create_key(connection: Connection, name: str, scopes: Collection[str], now: float) -> str:
    """A new key, which is shown this once.

    Raises:
        ValueError: a scope is unknown, or none is given.
    """
    unknown = set(scopes) - set(SCOPES)
    if unknown or not scopes:
        raise ValueError(f"scopes are {', '.join(SCOPES)}; not {', '.join(sorted(unknown)) or '—'}")
    secret = _PREFIX + secrets.token_urlsafe(_BYTES)
    connection.execute(
        api_keys.insert().values(
            id=secrets.token_hex(4),
            name=name,
            hash=_hash(secret),
            scopes=" ".join(sorted(scopes)),
            created_at=now,
        )
    )
    return secret


def looks_like_key(secret: str) -> bool:
    """Whether `create_key` could have made it; what it could not needs no look-up."""
    return bool(_SHAPE.fullmatch(secret))


def find_key(connection: Connection, secret: str) -> Key | None:
    """The key in use with this secret. 256 random bits need no slow hash."""
    query = select(api_keys).where(
        api_keys.c.hash == _hash(secret), api_keys.c.revoked_at.is_(None)
    )
    row = connection.execute(query).one_or_none()
    return Key(row.id, row.name, frozenset(row.scopes.split())) if row else None


def list_keys(connection: Connection) -> list[dict[str, Any]]:
    """All keys, without their hashes, oldest first."""
    columns = [column for column in api_keys.c if column.name != "hash"]
    query = select(*columns).order_by(api_keys.c.created_at)
    return [dict(row._mapping) for row in connection.execute(query)]


def revoke_key(connection: Connection, identity: str, now: float) -> bool:
    """False when there is no such key in use."""
    done = connection.execute(
        update(api_keys)
        .where(api_keys.c.id == identity, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return bool(done.rowcount)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
