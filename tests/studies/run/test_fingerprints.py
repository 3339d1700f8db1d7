"""Fingerprints of data: they change with every byte that a source may read."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest

from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.run import fingerprints
from bpcli.studies.run.fingerprints import Fingerprints, fingerprint, sha256_of


def test_a_folder_without_images_has_the_fingerprint_of_all_its_files(tmp_path: Path) -> None:
    """A source of a user's own may read it, in a format of its own."""
    folder = tmp_path / "recordings"
    (folder / "birds").mkdir(parents=True)
    (folder / "birds" / "1.wav").write_bytes(b"abc")
    (folder / "labels.txt").write_text("bird")
    first = fingerprint([folder])[0]
    assert first["bytes"] == 7
    (folder / ".cache").write_text("hidden")
    assert fingerprint([folder])[0] == first
    (folder / "birds" / "1.wav").write_bytes(b"abd")
    assert fingerprint([folder])[0]["sha256"] != first["sha256"]


def test_a_folder_of_images_has_the_fingerprint_of_its_images(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(b"abc")
    first = fingerprint([tmp_path])[0]
    (tmp_path / "notes.txt").write_text("no source reads it")
    assert fingerprint([tmp_path])[0] == first
    assert first["bytes"] == 3


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_fingerprint_is_path_size_and_sha256(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file of several blocks too; of a folder, of the names and the fingerprints in it."""
    monkeypatch.chdir(tmp_path)
    big = bytes(range(256)) * 9000
    Path("a.csv").write_bytes(big)
    assert fingerprint([Path("a.csv")]) == [{"file": str(tmp_path / "a.csv"), "bytes": len(big), "sha256": sha256(big)}]
    Path("f/b").mkdir(parents=True)
    Path("f/b/x.txt").write_bytes(b"1")
    Path("f/a.txt").write_bytes(b"22")
    whole = sha256(f"a.txt\0{sha256(b'22')}\nb/x.txt\0{sha256(b'1')}\n".encode())
    assert fingerprint([Path("f"), Path("f/a.txt")]) == [
        {"file": str(tmp_path / "f"), "bytes": 3, "sha256": whole},
        {"file": str(tmp_path / "f" / "a.txt"), "bytes": 2, "sha256": sha256(b"22")},
    ]


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Failure, match="which the run began with, is gone") as caught:
        sha256_of(tmp_path / "gone")
    assert caught.value.exit == Exit.NO_INPUT
    assert caught.value.problems[0].help == "put it back where it was"

    def refuse(*_: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "there").touch()
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(Failure, match="which the run began with, cannot be read: Permission denied"):
        sha256_of(tmp_path / "there")


def test_they_are_taken_beside_the_reading_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the files that were named when it began; of others they are taken when they are asked for."""
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    taken = Fingerprints([one])
    taken._thread.join()
    assert taken._thread.name == "fingerprints"
    assert taken._thread.daemon
    monkeypatch.setattr(fingerprints, "fingerprint", lambda files, digest=None: [])
    assert taken.of([one])[0]["sha256"] == sha256(b"1"), "it is not taken again"
    monkeypatch.undo()
    one.write_bytes(b"changed")
    with pytest.raises(Failure, match="changed while it was read"):  # and the fingerprint is of neither for certain
        taken.of([one])
    assert taken.of([two])[0]["sha256"] == sha256(b"2")
    assert taken.of([one, two])[0]["sha256"] == sha256(b"changed")


def test_a_failure_is_raised_where_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(file: Path) -> str:
        raise Failure(Problem("unreadable"))

    monkeypatch.setattr(fingerprints, "_digest", fails)
    (tmp_path / "a").write_text("")
    taken = Fingerprints([tmp_path / "a"])
    with pytest.raises(Failure, match="unreadable"):
        taken.of([tmp_path / "a"])


def test_what_is_no_file_is_left_to_who_reads_it(tmp_path: Path) -> None:
    """A pipe can be read once; of what is missing its reader says so."""
    taken = Fingerprints([tmp_path / "none"])
    assert taken._thread.ident is None
    with pytest.raises(Failure, match="is gone"):
        taken.of([tmp_path / "none"])


def test_a_large_file_is_read_by_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that cannot be started, or says something else, it is read here."""
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    monkeypatch.setattr(fingerprints, "SUBPROCESS_FILE_BYTES", 2)
    monkeypatch.setattr(fingerprints, "sha256_of", lambda _: "here")
    assert fingerprints._digest(file) == sha256(b"abc")
    monkeypatch.setattr(fingerprints, "SUBPROCESS_FILE_BYTES", 3)
    assert fingerprints._digest(file) == "here"
    assert fingerprints._digest(tmp_path) == "here"
    monkeypatch.setattr(fingerprints, "SUBPROCESS_FILE_BYTES", 2)
    monkeypatch.setattr(fingerprints, "HASH_PROGRAM", "print('odd')")
    assert fingerprints._digest(file) == "here"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    assert fingerprints._digest(file) == "here"
