"""One database, SQLite or PostgreSQL: connections, transactions, migrations, the two dialects' words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_MILLISECONDS = 30_000
KEYS_A_QUERY = 500
"""So many keys are looked up at once."""

_MIGRATION_LOCK = 0x62_74_78
"""Held on PostgreSQL by the process that migrates."""


class StoreError(Exception):
    """The database cannot be used, with what to do."""


class Database:
    """A migrated database. Safe to share between threads; one transaction holds one connection.

    Args:
        url: `sqlite:///file.db` or `postgresql://user@host/name`.

    Raises:
        StoreError: the URL is of neither, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError) as error:  # it may hold a password: do not show it
            raise StoreError("this is no URL such as sqlite:///FILE, postgresql://…") from error
        kind = parsed.get_backend_name()
        self.is_sqlite = kind == "sqlite"
        if not self.is_sqlite and kind not in ("postgresql", "postgres"):
            raise StoreError(f"{kind} is neither sqlite nor postgresql")
        if self.is_sqlite and parsed.database in (None, "", ":memory:"):
            raise StoreError("a SQLite store needs a file: sqlite:///FILE")
        parsed = parsed.set(drivername="sqlite" if self.is_sqlite else "postgresql+psycopg")
        try:
            self.engine = _sqlite_engine(parsed) if self.is_sqlite else _engine(parsed)
        except ModuleNotFoundError as error:
            raise StoreError(
                f"{kind} needs {error.name}: pip install 'brandtox[postgres]'"
            ) from error

    def migrate(self) -> None:
        """Bring the schema to this version; several processes may try at once.

        Raises:
            StoreError: the database cannot be reached, is no store of ours, or is of a later version.
        """
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        try:
            with self.begin() as connection:
                if not self.is_sqlite:
                    connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except DBAPIError as error:
            raise StoreError(str(error.orig).strip()) from error
        except (SQLAlchemyError, CommandError) as error:
            raise StoreError(str(error)) from error

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that may write. On SQLite it takes the one write lock at once."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                connection.info["mode"] = "IMMEDIATE"
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, and sees one state of the database."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                connection.info["mode"] = "DEFERRED"
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def close(self) -> None:
        self.engine.dispose()

    def insert_new(
        self, connection: Connection, table: Table, rows: Sequence[dict[str, Any]]
    ) -> None:
        """Insert the rows whose key is not there yet; the others stay as they were."""
        if rows:
            connection.execute(self._insert(table).on_conflict_do_nothing(), list(rows))

    def upsert(self, connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows, or set all given columns of those whose primary key is there. All rows have
        the same columns.
        """
        if not rows:
            return
        keys = [column.name for column in table.primary_key]
        insert = self._insert(table)
        values = {name: insert.excluded[name] for name in rows[0] if name not in keys}
        statement = (
            insert.on_conflict_do_update(index_elements=keys, set_=values)
            if values
            else insert.on_conflict_do_nothing()
        )
        connection.execute(statement, list(rows))

    def _insert(self, table: Table) -> Any:
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)


def _engine(url: URL) -> Engine:
    """Errors do not show what was to be stored: they go to the log."""
    return create_engine(
        url, pool_pre_ping=True, pool_size=10, max_overflow=20, hide_parameters=True
    )


def _sqlite_engine(url: URL) -> Engine:
    """WAL, so that readers do not wait for the writer; every commit is on disk before it returns."""
    timeout = _BUSY_MILLISECONDS / 1000
    engine = create_engine(url, connect_args={"timeout": timeout}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={_BUSY_MILLISECONDS}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        mode = connection.info.get("mode", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine
