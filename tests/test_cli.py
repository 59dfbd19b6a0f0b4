"""The command `brandtox`: what it prints, how it exits, and what it says when something is missing."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from model import Classifier
from model.manifest import MODEL
from serving import cli
from tests.helpers import Json, changed_folder

_PATIENCE = 120
"""Seconds after which a command counts as hanging; it takes about one."""


@pytest.fixture(autouse=True)
def released(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRANDTOX_MODEL", str(model_folder))


def run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli.main, arguments, input=stdin)


def records(result: Result) -> list[Json]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A real process of the command, ended at the end."""
    command = [sys.executable, "-m", "serving", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(stream: IO[bytes]) -> bytes:
    assert select.select([stream], [], [], _PATIENCE)[0], "no answer came"
    return stream.readline()


# --- help, hints ---


@pytest.mark.parametrize("command", [("serve",), ("keys", "create")])
def test_lists_in_help_keep_their_lines(command: tuple[str, ...]) -> None:
    lines = run(*command, "-h").stdout.splitlines()
    assert not any("\\b" in line for line in lines)
    assert any(line.strip().startswith(("POST /messages ", "write  ")) for line in lines)


def test_the_commands_are_listed() -> None:
    result = run("--help")
    assert result.exit_code == 0
    listed = re.findall(r"^  (\w+)  ", result.stdout.split("Commands:")[1], re.MULTILINE)
    expected = (
        "classify drift evaluate feedback keys models release rescore retrain score serve thresholds"
        " train"
    )
    assert listed == expected.split()


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("classify", "A broken line gives an error record in its place"),
        ("serve", "Start the service"),
        ("keys", "Authorization: Bearer KEY"),
        ("models", "without a dropped request"),
        ("rescore", "A change of model rewrites nothing"),
        ("train", "Train a model"),
        ("evaluate", "Evaluate a model"),
        ("release", "Export a trained"),
    ],
)
def test_every_command_has_help(command: str, says: str, flag: str) -> None:
    result = run(command, flag)
    assert result.exit_code == 0
    assert f"Usage: brandtox {command}" in result.stdout
    assert says in " ".join(result.stdout.split())


def test_the_example_in_the_help_is_on_a_line_of_its_own_and_works() -> None:
    example = run("classify", "--help").stdout.split("Example:")[1]
    command = re.fullmatch(r"\s+echo '(.*)' \| brandtox classify\s+", example)
    assert command
    result = run("classify", stdin=command[1].encode())
    assert [r["id"] for r in records(result)] == [1]


def test_listing_the_commands_loads_no_torch() -> None:
    code = "import sys; from serving.cli import main; main(['-h'], standalone_mode=False);"
    code += "sys.exit('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode
        == 0
    )


def test_the_version() -> None:
    assert re.fullmatch(r"brandtox, version \d+\.\d+\.\d+\n", run("--version").stdout)


def test_an_unknown_command_is_a_usage_error() -> None:
    result = run("clasify")
    assert result.exit_code == 2
    assert "No such command 'clasify'" in result.stderr


class _Entry:
    """An entry point of an installed package."""

    def __init__(self, loaded: click.Command | Exception) -> None:
        self._loaded = loaded

    def load(self) -> click.Command:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


def install(monkeypatch: pytest.MonkeyPatch, *entries: _Entry) -> list[dict[str, str]]:
    """Pretend that these are the entry points; what was asked for."""
    asked: list[dict[str, str]] = []

    def entry_points(**selection: str) -> list[_Entry]:
        asked.append(selection)
        return list(entries)

    monkeypatch.setattr(cli, "entry_points", entry_points)
    return asked


@pytest.mark.parametrize("name", ["train", "evaluate", "release"])
@pytest.mark.parametrize("arguments", [[], ["--epochs", "3", "file"], ["--help"]])
def test_a_missing_extra_is_a_hint(
    monkeypatch: pytest.MonkeyPatch, name: str, arguments: list[str]
) -> None:
    install(monkeypatch)
    result = run(name, *arguments)
    assert result.exit_code == 1
    expected = f"Error: `brandtox {name}` needs the training extra: pip install 'brandtox[train]'\n"
    assert result.stderr == expected


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, _Entry(ModuleNotFoundError("No module named 'torch'", name="torch")))
    result = run("train")
    assert result.exit_code == 1
    assert "(torch is missing): pip install 'brandtox[train]'" in result.stderr


def test_an_installed_extra_is_called_with_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.option("--epochs", type=int)
    def train(epochs: int) -> None:
        click.echo(f"{epochs} epochs")

    asked = install(monkeypatch, _Entry(train))
    result = run("train", "--epochs", "3")
    assert (result.exit_code, result.stdout) == (0, "3 epochs\n")
    assert asked == [{"group": "brandtox.commands", "name": "train"}]


# --- classify ---


def test_classify_reads_standard_input() -> None:
    lines = [json.dumps({"id": i, "text": "z" if i % 2 else "a", "n": i}) for i in range(1200)]
    result = run("classify", stdin="\n".join(lines).encode())
    assert (result.exit_code, result.stderr) == (0, "")
    found = records(result)
    assert [r["id"] for r in found] == list(range(1200))
    assert [r["n"] for r in found] == list(range(1200))
    assert [r["labels"] for r in found] == [["abuse"] if i % 2 else [] for i in range(1200)]


def test_classify_reads_a_file(tmp_path: Path, classifier: Classifier) -> None:
    file = tmp_path / "messages.jsonl"
    file.write_text('{"id": "م", "text": "الطلب متاخر q"}\n', encoding="utf-8")
    result = run("classify", str(file))
    expected = classifier.score(["الطلب متاخر q"])[0].as_dict()
    assert records(result) == [{"id": "م", "text": "الطلب متاخر q"} | expected]
    assert "الطلب" in result.stdout
    assert result.exit_code == 0


def test_classify_exits_1_when_a_line_is_an_error_and_counts_them() -> None:
    result = run("classify", stdin=b'{"id": 1, "text": "a"}\n\n{"id": 3}\n{"id": 4, "text": "z"}\n')
    assert result.exit_code == 1
    assert result.stderr == '2 of 4 lines are errors; see their "error"\n'
    assert [r["id"] for r in records(result)] == [1, None, 3, 4]
    assert ["error" in r for r in records(result)] == [False, True, True, False]


def test_classify_of_nothing_is_no_error() -> None:
    result = run("classify")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_the_longest_text_is_a_setting() -> None:
    result = run(
        "classify", "--max-text-characters", "3", stdin=b'{"text": "abcd"}\n{"text": "abc"}'
    )
    assert ["error" in r for r in records(result)] == [True, False]


@pytest.mark.parametrize("file", ["nowhere.jsonl", "."])
def test_a_missing_file_is_a_usage_error(file: str) -> None:
    result = run("classify", file)
    assert result.exit_code == 2
    assert file in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["classify", "serve"])
def test_a_damaged_model_is_an_error_at_start(
    command: str, model_folder: Path, tmp_path: Path
) -> None:
    folder = changed_folder(model_folder, tmp_path / "model")
    (folder / MODEL).write_bytes(b"")
    result = run(command, "--model", str(folder), stdin=b'{"text": "a"}\n')
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.fullmatch(
        r"Error: .*model\.onnx is damaged .*: get the model folder again.*\n", result.stderr
    )


@pytest.mark.parametrize("command", ["classify", "serve"])
def test_a_missing_model_is_an_error_at_start(command: str, tmp_path: Path) -> None:
    result = run(command, "--model", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "set BRANDTOX_MODEL" in result.stderr


def test_a_slow_writer_is_answered_line_by_line() -> None:
    with started("classify") as process:
        assert process.stdin
        assert process.stdout
        for text, labels in (("z", ["abuse"]), ("a", []), ("q", ["threat"])):
            process.stdin.write(json.dumps({"text": text}).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(next_line(process.stdout))["labels"] == labels
        process.stdin.close()
        assert process.wait(_PATIENCE) == 0


def test_a_reader_that_has_enough_ends_the_command_quietly() -> None:
    """As in `brandtox classify | head -1`, with a writer that goes on."""
    with started("classify") as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b'{"text": "a"}\n')
        process.stdin.flush()
        assert b'"labels"' in next_line(process.stdout)
        process.stdout.close()
        process.stdin.write(b'{"text": "a"}\n')
        process.stdin.flush()
        assert process.wait(_PATIENCE) == 1
        assert process.stderr.read() == b""


# --- serve ---


def test_serve_passes_its_settings_on(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr("uvicorn.run", lambda app, **options: calls.append((app, options)))
    result = run("serve", "--host", "::1", "--port", "8123", "--max-messages", "7")
    assert result.exit_code == 0
    ((app, options),) = calls
    assert options == {"host": "::1", "port": 8123}
    assert app.state.settings.max_messages == 7


def test_serve_answers_until_it_is_told_to_end() -> None:
    with started("serve", "--port", "0") as process:
        assert process.stderr
        address = None
        while not address:
            line = next_line(process.stderr).decode()
            assert line, "it ended"
            address = re.search(r"running on (http://127\.0\.0\.1:\d+)", line)
        with httpx.Client(base_url=address[1], timeout=_PATIENCE) as client:
            assert client.get("/readyz").json() == {"status": "ready", "model": "tiny-1"}
            answer = client.post("/classify", json={"id": 1, "text": "hello z"}).json()
            assert answer["verdicts"][0]["labels"] == ["abuse"]
            assert client.post("/classify", content=b"{").status_code == 400
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(_PATIENCE) in (0, -signal.SIGTERM)
        assert b"Traceback" not in process.stderr.read()
