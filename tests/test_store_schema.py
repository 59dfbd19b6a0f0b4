"""The schema on both databases: what the migrations make is what the tables say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from serving.store import database as module
from serving.store.database import Database, StoreError
from serving.store.tables import metadata

_SECRET = "s3cret"


def opened(url: str) -> Database:
    database = Database(url)
    database.migrate()
    return database


def configured(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(module.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def indexes(connection: Connection) -> dict[str, tuple[str, ...]]:
    inspector = inspect(connection)
    return {
        str(index["name"]): tuple(str(name) for name in index["column_names"])
        for table in inspector.get_table_names()
        for index in inspector.get_indexes(table)
        if not index.get("duplicates_constraint")
    }


def test_the_migrations_make_what_the_tables_say(empty_url: str) -> None:
    database = opened(empty_url)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        declared = {
            str(index.name): tuple(column.name for column in index.columns)
            for table in metadata.tables.values()
            for index in table.indexes
        }
        assert indexes(connection) == declared
    database.close()


def test_only_what_waits_for_the_model_is_in_the_index_of_it(empty_url: str) -> None:
    database = opened(empty_url)
    with database.read() as connection:
        found = inspect(connection).get_indexes("messages")
        (unscored,) = [index for index in found if index["name"] == "ix_messages_unscored"]
        dialect = "sqlite" if database.is_sqlite else "postgresql"
        assert "scored" in str(unscored["dialect_options"][f"{dialect}_where"])
    database.close()


def test_sqlite_never_gives_a_number_again(tmp_path: Path) -> None:
    database = opened(f"sqlite:///{tmp_path / 'a.db'}")
    with database.read() as connection:
        query = "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%' ORDER BY name"
        found = list(connection.scalars(text(query)))
    assert found == ["alerts", "audit", "feedback", "messages"]
    declared = [
        name
        for name, table in sorted(metadata.tables.items())
        if table.dialect_options["sqlite"]["autoincrement"]
    ]
    assert declared == found
    database.close()


def test_foreign_keys_cascade(empty_url: str) -> None:
    database = opened(empty_url)
    with database.read() as connection:
        inspector = inspect(connection)
        for table in metadata.tables.values():
            declared = {str(key.name): key.ondelete for key in table.foreign_key_constraints}
            found = {
                str(key["name"]): key["options"].get("ondelete")
                for key in inspector.get_foreign_keys(table.name)
            }
            assert found == declared
            assert set(declared.values()) <= {"CASCADE"}
    database.close()


def test_an_upgrade_twice_changes_nothing(empty_url: str) -> None:
    database = opened(empty_url)
    with database.begin() as connection:
        connection.execute(text("INSERT INTO agents (id) VALUES ('a')"))
    database.migrate()
    with database.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM agents")) == 1
        assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1
    database.close()


def test_a_store_of_the_first_version_is_brought_up_with_what_it_holds(empty_url: str) -> None:
    database = Database(empty_url)
    with database.engine.connect() as connection:
        if database.is_sqlite:
            connection.info["mode"] = "IMMEDIATE"
        with connection.begin():
            command.upgrade(configured(connection), "0001")
            connection.execute(text("INSERT INTO customers (id, created_at) VALUES ('c', 0)"))
            connection.execute(
                text(
                    "INSERT INTO messages (seq, source, id, customer_id, direction, channel, sent_at,"
                    " received_at, text, text_hash, refuses, scored, attempts)"
                    " VALUES (7, 's', 'm', 'c', 'in', 'chat', 1, 1, 'hello', 'h', false, true, 1)"
                )
            )
    database.migrate()
    with database.begin() as connection:
        assert connection.scalar(text("SELECT text FROM messages WHERE seq = 7")) == "hello"
        connection.execute(
            text(
                "INSERT INTO feedback (customer_id, message_seq, item, reviewer, labels, at)"
                " VALUES ('c', 7, 'i', 'Mona', '{}', 1)"
            )
        )
        connection.execute(text("DELETE FROM customers"))
        assert connection.scalar(text("SELECT count(*) FROM feedback")) == 0
    database.close()


def test_a_downgrade_to_the_base_leaves_no_table(empty_url: str) -> None:
    database = opened(empty_url)
    with database.engine.connect() as connection:
        command.downgrade(configured(connection), "base")
    with database.read() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    database.migrate()
    with database.read() as connection:
        assert len(inspect(connection).get_table_names()) == len(metadata.tables) + 1
    database.close()


def test_several_services_may_start_at_once(empty_url: str) -> None:
    code = (
        "import sys; from serving.store.database import Database; Database(sys.argv[1]).migrate()"
    )
    command = [sys.executable, "-c", code, empty_url]
    started = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    database = Database(empty_url)
    with database.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1
    database.close()


def test_a_folder_with_a_percent_sign_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "50% off"
    link.symlink_to(Path(module.__file__).parent / "migrations")
    monkeypatch.setattr(module, "_MIGRATIONS", link)
    opened(f"sqlite:///{tmp_path / 'a.db'}").close()


# --- databases that cannot be used ---


@pytest.mark.parametrize(
    "url",
    [
        "",
        "brandtox.db",
        f"mysql://root:{_SECRET}@localhost/x",
        f"postgresql//u:{_SECRET}@h/x",
        "oracle://h/x",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_a_url_of_no_database_of_ours_is_told_without_its_password(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        Database(url)
    assert _SECRET not in str(caught.value)


def test_postgresql_has_many_names(postgres: object, empty_url: str) -> None:
    if empty_url.startswith("postgresql"):
        for name in ("postgres://", "postgresql+psycopg://", "postgresql+asyncpg://"):
            database = opened(empty_url.replace("postgresql://", name))
            assert database.engine.driver == "psycopg"
            database.close()


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{_SECRET}@127.0.0.1:1/x?connect_timeout=2",
        f"postgresql://u:{_SECRET}@/x?host=/nowhere",
        "sqlite:////nowhere/at/all/store.db",
    ],
)
def test_an_unreachable_database_is_told(url: str) -> None:
    database = Database(url)
    with pytest.raises(StoreError) as caught:
        database.migrate()
    assert _SECRET not in str(caught.value)
    assert "sqlalche.me" not in str(caught.value)
    database.close()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_text("Dear customer, " * 1000)
    database = Database(f"sqlite:///{tmp_path / 'letter.db'}")
    with pytest.raises(StoreError, match="not a database"):
        database.migrate()
    database.close()


def test_a_store_of_a_later_version_is_told(empty_url: str) -> None:
    database = opened(empty_url)
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="9999"):
        database.migrate()
    database.close()


def test_a_store_that_is_not_ours_is_left_alone(empty_url: str) -> None:
    database = Database(empty_url)
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE customers (id integer)"))
    with pytest.raises(StoreError):
        database.migrate()
    with database.read() as connection:
        assert inspect(connection).get_columns("customers")[0]["name"] == "id"
        assert "messages" not in inspect(connection).get_table_names()
    database.close()


# --- transactions ---


def test_an_error_undoes_the_whole_transaction(store: Database) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text("INSERT INTO agents (id) VALUES ('a')"))
        raise KeyError

    with pytest.raises(KeyError), store.begin() as connection:
        fail(connection)
    with store.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM agents")) == 0


def test_no_error_of_the_database_shows_what_was_to_be_stored(store: Database) -> None:
    rows = [{"id": "a", "name": _SECRET}] * 2
    with pytest.raises(sqlalchemy.exc.IntegrityError) as caught, store.begin() as connection:
        connection.execute(metadata.tables["agents"].insert(), rows)
    assert _SECRET not in str(caught.value)


def test_sqlite_writes_ahead_and_waits_for_the_disk(tmp_path: Path) -> None:
    database = opened(f"sqlite:///{tmp_path / 'a.db'}")
    with database.read() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 2
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
    database.close()
