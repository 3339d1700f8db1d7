"""A container's limit on threads, or `ulimit`: where no thread can be started, all is done in one."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

from bpcli.numeric import threads
from bpcli.numeric.threads import CHUNKS, Chunk, run_chunks
from bpcli.records.training import Exit, Failure
from bpcli.render.console import can_redraw
from bpcli.studies.run.fingerprints import Fingerprints, fingerprint


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def none(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No thread can be started."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads._workers.cache_clear()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(threads, "thread_count", lambda: CHUNKS)
    monkeypatch.setenv("TERM", "xterm")
    return monkeypatch


@pytest.fixture(autouse=True)
def afterwards() -> object:
    yield
    threads._workers.cache_clear()


def test_chunks_are_done_by_those_that_there_are(monkeypatch: pytest.MonkeyPatch, none: pytest.MonkeyPatch) -> None:
    honest, started = threads._Worker, []
    for can_start in (0, 1, 2):
        none.undo() if can_start else None
        threads._workers.cache_clear()
        started.clear()

        def limited(limit: int = can_start) -> threads._Worker:
            if len(started) == limit:
                raise RuntimeError("can't start new thread")
            started.append(1)
            return honest()

        monkeypatch.setattr(threads, "_Worker", limited)
        monkeypatch.setattr(threads, "thread_count", lambda: CHUNKS)
        for _ in range(3):
            done: list[Chunk] = []
            run_chunks(done.append, threads.MIN_PARALLEL_MACS)
            assert sorted(chunk.number for chunk in done) == list(range(CHUNKS))
            assert len({chunk.thread for chunk in done}) == 1 + can_start == 1 + len(started)


def test_fingerprints_are_taken_all_the_same(none: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("1")
    taken = Fingerprints([file])
    assert taken.of([file]) == fingerprint([file])
    file.write_text("2 and more")
    with pytest.raises(Failure, match="changed while it was read"):
        taken.of([file])


def test_commands_go_well(lab: Lab, none: pytest.MonkeyPatch) -> None:
    assert not can_redraw(_Screen())
    lab.good("train", "trees.yaml", "--out", "run")
    for words in (("eval", "run"), ("gradcheck", "run"), ("predict", "run", "--data", "trees.csv")):
        lab.good(*words)
    none.undo()
    none.setenv("TERM", "xterm")
    assert can_redraw(_Screen())


def test_what_needs_one_says_so(lab: Lab, none: pytest.MonkeyPatch) -> None:
    none.setattr(Fingerprints, "_take", lambda self: threading.Thread().start())
    found = lab.run("train", "trees.yaml", "--out", "run", "-q")
    assert found.code == Exit.BAD_INPUT
    assert "no other thread can be started here" in found.err
