"""What GET /models says of the model that is loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import httpx
import pytest

from model import Classifier
from model.manifest import MANIFEST
from tests.conftest import OpenClient
from tests.helpers import FakeScorer, Json, changed_folder

DOCS = Path(__file__).parent.parent / "docs"


async def models_of(client: httpx.AsyncClient) -> list[Json]:
    answer = await client.get("/models")
    assert answer.status_code == 200
    assert set(answer.json()) == {"models"}
    found: list[Json] = answer.json()["models"]
    return found


async def test_the_model_says_what_its_manifest_says(
    open_client: OpenClient, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {
        "created": "2026-05-04",
        "base": "bundled",
        "parent": "tiny-0",
        "data": "f1",
        "metrics": {"written": {"rows": 3}},
    }
    folder = changed_folder(model_folder, tmp_path / "model", **told)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    monkeypatch.setenv("BRANDTOX_MODEL", str(folder))
    async with open_client(Classifier.load(folder, threads=1)) as client:
        (model,) = await models_of(client)
        verdicts = (await client.post("/classify", json={"text": "a"})).json()["verdicts"]
    size = sum((folder / name).stat().st_size for name in manifest["files"])
    assert model == told | {
        "model": verdicts[0]["model"],
        "active": True,
        "gate": None,
        "error": None,
        "size_bytes": size,
        "thresholds": manifest["thresholds"],
        "own_thresholds": None,
    }


async def test_the_documented_example_is_what_the_shipped_model_says(
    open_client: OpenClient,
) -> None:
    async with open_client(Classifier.load(threads=1)) as client:
        (model,) = await models_of(client)
    document = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
    (example,) = document["components"]["schemas"]["ModelAnswer"]["examples"]
    assert example.keys() == {name for name, value in model.items() if value is not None}
    assert_part(example, model)


def assert_part(part: Json, whole: Json) -> None:
    """An example leaves out some of the labels and figures."""
    for name, value in part.items():
        if isinstance(value, dict):
            assert_part(value, whole[name])
        else:
            assert value == whole[name], name


async def test_a_model_whose_files_are_gone_is_still_told(
    open_client: OpenClient, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = changed_folder(model_folder, tmp_path / "model")
    monkeypatch.setenv("BRANDTOX_MODEL", str(folder))
    async with open_client(Classifier.load(folder, threads=1)) as client:
        shutil.rmtree(folder)
        (model,) = await models_of(client)
    assert (model["model"], model["size_bytes"]) == ("tiny-1", None)
    assert (model["created"], model["base"]) == (None, None)


async def test_a_model_without_a_manifest_has_a_version(open_client: OpenClient) -> None:
    async with open_client(FakeScorer()) as client:
        (model,) = await models_of(client)
    assert (model["model"], model["active"], model["thresholds"]) == ("fake", True, {})


async def test_the_documentation_has_an_example_that_fits(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/openapi.json")).json()["components"]["schemas"]["ModelAnswer"]
    assert set(schema["examples"][0]) < set(schema["properties"])  # null ones are left out
    assert set(schema["properties"]) == set(schema["required"])
