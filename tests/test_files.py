"""A file is whole or as before."""

from __future__ import annotations

from pathlib import Path

import pytest

from model import files
from model.files import write_whole
from serving.archives.job import Job


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


def test_a_failed_write_places_none_of_the_files_that_belong_together(tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("before")

    def full(_: Path) -> None:
        raise OSError("no space left on the drive")

    job = Job(two, {})
    with pytest.raises(OSError, match="no space"):
        job.place({one: lambda part: part.write_text("after"), two: full})
    assert one.read_text() == "before"
    assert list(tmp_path.iterdir()) == [one]
    two.mkdir()
    with pytest.raises(OSError, match=r"two\.csv"):
        job.place({path: lambda part: part.write_text("after") for path in (one, two)})
    two.rmdir()
    assert list(tmp_path.iterdir()) == [one]
    job.place({path: lambda part: part.write_text("after") for path in (one, two)})
    assert sorted(tmp_path.iterdir()) == [one, two]
    assert one.read_text() == two.read_text() == "after"
