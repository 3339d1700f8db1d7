"""A very long training takes no more than a short one: memory, open files, files on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_lab import surroundings
from faults.training import CONFIG

MAX_GROWTH_BYTES = 2 << 20
PROGRAM = """\
import os
from pathlib import Path
from bpcli.family import Callback
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up

class Look(Callback):
    def on_epoch_end(self, state, row):
        if row.epoch in (EPOCHS // 20, EPOCHS):
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
            print(resident, len(os.listdir("/proc/self/fd")), len(list(state.folder.path.rglob("*"))))

start(set_up(Path("line.yaml"), ("training.checkpoint.every=500 steps",)), Path("run"), [Look()]).run()
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="looks into /proc")
def test_ten_thousand_epochs(tmp_path: Path) -> None:
    epochs = 10_000
    text = CONFIG.replace("epochs: 3", f"epochs: {epochs}").replace("patience: 2", f"patience: {epochs}")
    (tmp_path / "line.yaml").write_text(text)
    program = PROGRAM.replace("EPOCHS", str(epochs))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=surroundings(), check=True, capture_output=True, text=True
    )
    (resident, *first), (later, *last) = ([int(word) for word in line.split()] for line in done.stdout.splitlines())
    assert later - resident < MAX_GROWTH_BYTES
    assert last == first
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == epochs
    sys.stdout.write(f"\n{epochs:,} epochs: {(later - resident) / 2**20:.2f} MiB more, descriptors and files {last}\n")
