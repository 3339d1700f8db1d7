"""Fingerprints of data: they change with every byte that a source may read."""

from pathlib import Path

from bpcli.studies.run.fingerprints import fingerprint


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
