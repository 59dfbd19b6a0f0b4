"""`brandtox score --engine ray`, on a local cluster."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from click.testing import CliRunner, Result
from ray.cluster_utils import Cluster

from model.manifest import load_manifest
from serving import cli
from serving.archives import chunks, cluster
from serving.archives.chunks import SCORES
from serving.archives.parquet import ParquetArchive
from serving.archives.parts import Part, Work, load_model, score_part
from serving.archives.row import ReadOptions
from serving.archives.sources import FileSource
from tests.archives.conftest import invented

# Ray reads settings of its own that it has deprecated, and leaves pipes of its processes open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

_PROBABILITIES = [field.name for field in SCORES if pa.types.is_floating(field.type)]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a cluster with two cores."""
    nodes = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 2,
            "object_store_memory": 2**27,
            "include_dashboard": False,
        },
    )
    yield nodes.address
    nodes.shutdown()


@pytest.fixture(autouse=True)
def small_parts(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    monkeypatch.setenv("BRANDTOX_MODEL", str(model_folder))
    monkeypatch.setattr(chunks, "ROWS", 40)
    monkeypatch.chdir(tmp_path)
    yield
    assert not ray.is_initialized()


def _write(path: str, rows: list[dict[str, Any]]) -> str:
    Path(path).parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=30)
    return path


def _score(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["score", *arguments])


def _on_ray(address: str, *arguments: str) -> Result:
    return _score(*arguments, "--engine", "ray", "--ray-address", address)


def test_gives_what_the_local_engine_gives(address: str) -> None:
    rows = [
        row
        | {"labels": "ours", "direction": "out" if row["id"] % 5 == 0 else "in"}
        | {"customer": f"{'+20 ' if row['id'] < 80 else '0020'}100 123 450{row['customer'][1:]}"}
        | {"customer_name": f"Salma {row['id']}"}
        for row in invented(150)
    ]
    inputs = [_write("in/a.parquet", rows[:100]), _write("in/b.parquet", rows[100:])]
    local = _score(*inputs, "-o", "local.parquet")
    result = _on_ray(address, *inputs, "-o", "out")
    assert result.exit_code == local.exit_code == 1, result.output
    assert "150 rows" in result.stderr
    assert "3 with an error" in result.stderr

    expected, found = pq.read_table("local.parquet"), pq.read_table("out")
    assert found.schema == expected.schema
    for name in expected.column_names:
        if name in _PROBABILITIES:
            assert found[name].to_pylist() == pytest.approx(expected[name].to_pylist(), abs=0.005)
        else:
            assert found[name] == expected[name]
    expected, found = map(pq.read_table, ("local.customers.parquet", "out.customers.parquet"))
    assert found.schema == expected.schema
    for name in ("customer_id", "name", "understood_customer"):
        assert found[name] == expected[name]
    assert found.num_rows == 9
    assert found["index"].to_pylist() == pytest.approx(expected["index"].to_pylist(), abs=1)
    assert sorted(path.name for path in Path("out").glob("0*")) == [
        "00000-a.parquet",
        "00001-b.parquet",
    ]


def test_a_stopped_run_goes_on_where_it_was(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [_write("a.parquet", invented(100)), _write("b.parquet", invented(60, seed=1))]

    def stop_after_one(work: Work, left: list[Part], _: object) -> Iterator[int]:
        yield score_part(work, left[0], load_model(work))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cluster, "_scored", stop_after_one)
        assert _on_ray(address, *inputs, "-o", "out").exit_code == 1
    first = Path("out.work/parts/00000000.parquet")
    done = pq.read_table(first)
    place = done.schema.get_field_index("model")
    models = pa.array(["kept" if one else None for one in done["model"].to_pylist()])
    pq.write_table(done.set_column(place, "model", models), first)
    assert not Path("out").exists()

    other = _on_ray(address, inputs[0], "-o", "out")
    assert "unfinished work of another run (inputs" in other.output

    assert _on_ray(address, *inputs, "-o", "out", "--quiet").exit_code == 1
    found = pq.read_table("out")
    assert found["text"].to_pylist() == [row["text"] for row in invented(100) + invented(60, 1)]
    models = found["model"].to_pylist()
    assert "kept" in models[:40]
    assert "kept" not in models[40:]
    assert sorted(path.name for path in Path().glob("out*")) == ["out", "out.customers.parquet"]

    again = _on_ray(address, *inputs, "-o", "out")
    assert again.exit_code == 1  # some rows are errors, as the first time
    assert "is finished" in again.stderr
    assert (
        "give another --output, or --overwrite" in _on_ray(address, *inputs[:1], "-o", "out").output
    )


def test_a_cluster_with_another_model(
    address: str, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = replace(load_manifest(model_folder), model="tiny-2")
    monkeypatch.setattr(cluster, "load_manifest", lambda _: here)
    result = _on_ray(address, _write("a.parquet", invented(5)), "-o", "out")
    assert result.exit_code == 1
    assert "Error: a machine of the cluster has the model tiny-1, this one tiny-2" in result.output
    assert not Path("out").exists()


def test_a_folder_of_others_is_not_replaced() -> None:
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("keep me")
    archive = _write("a.parquet", invented(5))
    result = _score(archive, "-o", "mine", "--overwrite", "--engine", "ray")
    assert "was not written by --engine ray" in result.output
    assert Path("mine/notes.txt").exists()


def test_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    archive = _write("a.parquet", invented(5))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
        result = _on_ray(nobody, archive, "-o", "out")
    assert result.exit_code == 1
    assert f"no Ray cluster at {nobody}" in result.output
    assert "--ray-address" in result.output
    assert not list(tmp_path.glob("out*"))


def test_ray_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "serving.archives.cluster", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    result = _score(_write("a.parquet", invented(5)), "-o", "out", "--engine", "ray")
    assert "pip install 'brandtox[ray]'" in result.output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["a.csv", "-o", "out"], "a.csv is not Parquet"),
        (["nothing/", "-o", "out"], "no Parquet file at nothing/"),
        (["a.parquet", "-o", "out.csv"], "name a folder"),
        (["a.parquet", "-o", "out", "--report", "r.html"], "--report is of --engine local alone"),
        (["s4://x/a.parquet", "-o", "out"], "s4://x/a.parquet cannot be reached"),
        (["a.parquet", "b.parquet", "-o", "out"], "different types"),
    ],
)
def test_what_it_cannot_do(arguments: list[str], why: str) -> None:
    Path("a.csv").write_text("text\nhello\n")
    _write("a.parquet", [{"id": 1, "text": "hello"}])
    _write("b.parquet", [{"id": "one", "text": "hello"}])
    result = _score(*arguments, "--engine", "ray")
    assert result.exit_code
    assert why in result.output


def test_a_preview_needs_no_cluster() -> None:
    _write("in/a.parquet", invented(5))
    Path("in/_SUCCESS").touch()
    result = _score("in", "--preview", "--engine", "ray")
    assert "in/a.parquet" in result.stdout
    assert "text" in result.stdout


@pytest.mark.parametrize(("first", "rows"), [(0, 100), (0, 1), (29, 3), (30, 40), (95, 5)])
def test_a_slice_of_a_file(first: int, rows: int) -> None:
    path = Path(_write("a.parquet", invented(100)))
    archive = ParquetArchive(FileSource("a.parquet", path, 2**20), ReadOptions())
    assert list(archive.slice(first, rows).rows()) == list(archive.rows())[first : first + rows]
