"""Keeps Hugging Face's cache of Parquet files out of the user's home."""

from __future__ import annotations

from pathlib import Path

import pytest

import datasets


@pytest.fixture(autouse=True)
def cache_of_parquet_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf-cache")
