"""A file is whole or as before."""

from __future__ import annotations

from pathlib import Path

import pytest

from model import files
from model.files import write_whole


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    write_whole(path, "one")
    write_whole(path, "إثنان")
    assert path.read_text(encoding="utf-8") == "إثنان"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_file_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.json"
    write_whole(path, "one")

    def full(_: Path) -> None:
        raise OSError("no space left on the drive")

    monkeypatch.setattr(files, "sync", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, "two")
    assert path.read_text(encoding="utf-8") == "one"
    assert list(tmp_path.iterdir()) == [path]
