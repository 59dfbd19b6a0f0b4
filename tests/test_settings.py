"""Every setting has a flag, a variable, a default that works, and a row in the documentation."""

from __future__ import annotations

import re
from operator import ge, gt, le, lt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from serving import cli
from serving.documents import DOCUMENTS, main
from serving.index.settings import IndexSettings
from serving.settings import GROUPS, INDEX, Settings, flag_of, variable_of
from tests.helpers import FakeScorer

DOCS = Path(__file__).parent.parent / "docs"
FIELDS = [field for group in GROUPS.values() for field in group.model_fields]

SERVICE: dict[str, tuple[str, Any]] = {
    "host": ("::1", "::1"),
    "port": ("8123", 8123),
    "model": ("some/folder", Path("some/folder")),
    "models": ("some/models", Path("some/models")),
    "models_poll_seconds": ("0.5", 0.5),
    "thresholds": ("some/thresholds.json", Path("some/thresholds.json")),
    "threads": ("3", 3),
    "max_text_characters": ("10", 10),
    "max_messages": ("11", 11),
    "max_body_bytes": ("12", 12),
    "max_concurrent_requests": ("13", 13),
    "max_waiting_characters": ("14", 14),
    "database_url": ("postgresql://u@h/x", SecretStr("postgresql://u@h/x")),
    "default_timezone": ("Africa/Cairo", "Africa/Cairo"),
    "future_seconds": ("1.5", 1.5),
    "store_text": ("false", False),
    "retention_days": ("365", 365.0),
    "api_keys": ("required", "required"),
    "requests_per_minute": ("15", 15),
    "webhook_url": ("https://example.com/x", "https://example.com/x"),
    "webhook_secret": ("s3cret", SecretStr("s3cret")),
    "review_lease_minutes": ("5", 5.0),
    "review_window": ("500", 500),
    "review_second_share": ("0.25", 0.25),
    "support_minute_cost": ("0.5", 0.5),
    "separation_alarm": ("0.02", 0.02),
}
"""What a user writes and what the setting is then; a new setting of the service needs its own."""

FREE = {"model", "models", "thresholds", "database_url", "webhook_url", "webhook_secret"}
"""Any text will do, or its error comes later."""

SERVICE_WRONG = {
    "host": [""],
    "port": ["-1", "65536", "http", "80.5"],
    "threads": ["0", "-1", "many"],
    "models_poll_seconds": ["0", "-1", "often"],
    "max_text_characters": ["0", "x"],
    "max_messages": ["0", "x"],
    "max_body_bytes": ["0", "8MB"],
    "max_concurrent_requests": ["0", "x"],
    "max_waiting_characters": ["0", "x"],
    "default_timezone": ["Mars/Olympus", "../etc/passwd"],
    "future_seconds": ["-1", "x", "nan"],
    "store_text": ["maybe"],
    "retention_days": ["0", "x"],
    "api_keys": ["sometimes"],
    "requests_per_minute": ["0", "x"],
    "review_lease_minutes": ["0", "x"],
    "review_window": ["0", "20001", "x"],
    "review_second_share": ["-0.1", "1.1", "x"],
    "support_minute_cost": ["0", "x"],
    "separation_alarm": ["0", "1.1", "x"],
}


def bounds(field: str) -> list[tuple[str, float]]:
    """Names (ge, gt, le, lt) and values of a number's bounds."""
    return [
        (name, getattr(bound, name))
        for bound in Settings.model_fields[field].metadata
        for name in ("ge", "gt", "le", "lt")
        if hasattr(bound, name)
    ]


def other_number(field: str) -> tuple[str, Any]:
    """A value within the bounds that is not the default."""
    default = Settings.model_fields[field].default
    holds = {"ge": ge, "gt": gt, "le": le, "lt": lt}
    for value in (default + 1, default - 1, default / 2, default / 4 + 0.01):
        allowed = all(holds[name](value, bound) for name, bound in bounds(field))
        if allowed and isinstance(default, float) | float(value).is_integer():
            return str(value), type(default)(value)
    raise AssertionError(f"no other value of {field}")


def wrong_numbers(field: str) -> list[str]:
    """No number, and one beyond each bound."""
    beyond = {"ge": -1, "gt": 0, "le": 1, "lt": 0}
    return ["x", *(str(bound + beyond[name]) for name, bound in bounds(field))]


OF_INDEX = list(IndexSettings.model_fields)
VALUES = {field: other_number(field) for field in OF_INDEX} | SERVICE
WRONG = {field: wrong_numbers(field) for field in OF_INDEX} | SERVICE_WRONG


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in FIELDS:
        monkeypatch.delenv(variable_of(field), raising=False)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that `brandtox serve` would have run with."""
    found: list[Settings] = []

    def load(settings: Settings) -> FakeScorer:
        found.append(settings)
        return FakeScorer()

    monkeypatch.setattr(cli, "_load", load)
    monkeypatch.setattr(cli, "_database", lambda _: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(cli, "webhook_of", lambda _: None)
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: None)
    return found


def options(command: str) -> dict[str, click.Option]:
    found = cli.main.commands[command].params
    return {str(p.name): p for p in found if isinstance(p, click.Option)}


def test_the_defaults_are_those_of_the_architecture() -> None:
    assert Settings() == Settings(
        host="127.0.0.1",
        port=8000,
        model=None,
        threads=None,
        max_text_characters=100_000,
        max_messages=1_000,
        max_body_bytes=8 * 1024 * 1024,
        max_concurrent_requests=64,
        max_waiting_characters=4_000_000,
    )


def test_every_setting_has_a_value_to_try() -> None:
    assert set(VALUES) == set(FIELDS)
    assert set(OF_INDEX).isdisjoint(SERVICE)


def test_every_setting_is_in_one_group() -> None:
    assert sorted(FIELDS) == sorted(Settings.model_fields)


def test_serve_has_a_flag_for_every_setting_and_no_other() -> None:
    assert list(options("serve")) == [*FIELDS, "help_all"]


def headings(text: str) -> dict[str, list[str]]:
    """The flags under each heading of a help."""
    parts = re.split(r"^(\w[\w ]*):$", text, flags=re.MULTILINE)
    return {
        heading: re.findall(r"^  (--[\w-]+) ", part, re.MULTILINE)
        for heading, part in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_the_help_has_the_settings_under_their_headings_those_of_the_index_when_asked() -> None:
    short, full = (
        headings(CliRunner().invoke(cli.main, ["serve", flag]).stdout)
        for flag in ("-h", "--help-all")
    )
    grouped = {
        heading: [flag_of(field) for field in group.model_fields]
        for heading, group in GROUPS.items()
    }
    help_options = {"Help": ["--help-all"]}
    assert full == grouped | help_options
    assert short == grouped | {INDEX: []} | help_options


def test_the_help_says_where_the_settings_of_the_index_are() -> None:
    text = CliRunner().invoke(cli.main, ["serve", "-h"]).stdout
    found = re.search(r"^Index:\n  (\d+) settings with good defaults", text, re.MULTILINE)
    assert found
    assert int(found[1]) == len(OF_INDEX)


@pytest.mark.parametrize("field", FIELDS)
def test_the_flag_says_what_it_does_and_which_variable_does_the_same(field: str) -> None:
    option = options("serve")[field]
    description = Settings.model_fields[field].description
    assert option.opts == [flag_of(field)]
    assert option.help
    assert description
    assert description in option.help
    assert f"[{variable_of(field)}]" in option.help


@pytest.mark.parametrize("field", FIELDS)
def test_a_flag_sets_its_field(served: list[Settings], field: str) -> None:
    written, value = VALUES[field]
    result = CliRunner().invoke(cli.main, ["serve", flag_of(field), written])
    assert result.exit_code == 0, result.stderr
    assert served == [Settings(**{field: value})]
    assert served != [Settings()]


@pytest.mark.parametrize("field", FIELDS)
def test_a_variable_sets_its_field(
    served: list[Settings], monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    written, value = VALUES[field]
    monkeypatch.setenv(variable_of(field), written)
    result = CliRunner().invoke(cli.main, ["serve"])
    assert result.exit_code == 0, result.stderr
    assert getattr(served[0], field) == value


def test_a_flag_wins_over_its_variable(
    served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRANDTOX_PORT", "1")
    CliRunner().invoke(cli.main, ["serve", "--port", "2"])
    assert served[0].port == 2


@pytest.mark.parametrize("field", FIELDS)
def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    monkeypatch.setenv(variable_of(field), "")
    assert getattr(Settings(), field) == Settings.model_fields[field].default


def test_every_setting_that_is_not_any_text_has_wrong_values() -> None:
    assert set(WRONG) == set(FIELDS) - FREE


@pytest.mark.parametrize(("field", "wrong"), [(f, w) for f, many in WRONG.items() for w in many])
def test_a_wrong_flag_is_a_usage_error(served: list[Settings], field: str, wrong: str) -> None:
    result = CliRunner().invoke(cli.main, ["serve", flag_of(field), wrong])
    assert result.exit_code == 2
    assert flag_of(field) in result.stderr
    assert result.stderr.startswith("Usage: ")
    assert served == []


@pytest.mark.parametrize(
    ("field", "wrong"), [(f, w) for f, many in WRONG.items() for w in many if w]
)
@pytest.mark.parametrize("command", ["serve", "classify"])
def test_a_wrong_variable_is_a_usage_error(
    served: list[Settings], monkeypatch: pytest.MonkeyPatch, command: str, field: str, wrong: str
) -> None:
    monkeypatch.setenv(variable_of(field), wrong)
    result = CliRunner().invoke(cli.main, [command])
    assert result.exit_code == 2
    assert variable_of(field) in result.stderr
    assert f"not '{wrong}'" in result.stderr
    assert served == []


def test_all_wrong_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRANDTOX_PORT", "x")
    monkeypatch.setenv("BRANDTOX_THREADS", "y")
    message = CliRunner().invoke(cli.main, ["serve"]).stderr
    assert "BRANDTOX_PORT" in message
    assert "BRANDTOX_THREADS" in message


def test_classify_has_the_settings_that_concern_it() -> None:
    of_classify = ["model", "models", "thresholds", "threads", "max_text_characters"]
    assert list(options("classify")) == of_classify


def test_every_setting_has_its_row_and_its_consequence() -> None:
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    assert re.findall("^## (.*)$", text, re.MULTILINE) == list(GROUPS)
    rows = re.findall(r"^\| `(.*)` \| `(.*)` \| (.*) \| (.*) \|$", text, re.MULTILINE)
    assert [row[0] for row in rows] == [flag_of(field) for field in FIELDS]
    assert [row[1] for row in rows] == [variable_of(field) for field in FIELDS]
    for field, (_, _, _, description) in zip(FIELDS, rows, strict=True):
        if field in SERVICE:
            assert len(re.split(r"[.;] ", description)) > 1, "what it is, then what follows from it"


def test_the_default_of_a_secret_setting_is_no_secret() -> None:
    settings = (DOCS / "settings.md").read_text(encoding="utf-8")
    assert "| `sqlite:///brandtox.db` |" in settings
    assert "***" not in settings
    assert "Default: sqlite:///brandtox.db." in str(options("serve")["database_url"].help)


def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRANDTOX_WEBHOOK_SECRET", "s3cret")
    monkeypatch.setenv("BRANDTOX_DATABASE_URL", "postgresql://u:s3cret@h/x")
    assert "s3cret" not in repr(Settings())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_committed_documents_are_those_of_the_code(name: str, tmp_path: Path) -> None:
    main(tmp_path)
    committed = (DOCS / name).read_text(encoding="utf-8")
    assert (tmp_path / name).read_text(encoding="utf-8") == committed, "run `make docs`"
