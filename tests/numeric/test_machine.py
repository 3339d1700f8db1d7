"""What this process may use of the machine: memory and cores, as containers and limits of the shell leave them."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

from bpcli.numeric import cgroup, free_memory, threads
from bpcli.numeric.cgroup import group_folders
from bpcli.numeric.free_memory import available_bytes

FREE = 3000 * 1024
MEMINFO = "MemTotal:       8000 kB\nMemAvailable:   3000 kB\n"
STAT = "anon 300000\nactive_file 100000\ninactive_file 50000\n"
STAT_1 = "cache 1\ntotal_active_file 100000\ntotal_inactive_file 50000\n"
HUGE = str(2**63 - 4096)  # how version 1 says that there is no limit


class Machine:
    """Control groups made of files, in place of those of this machine."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        for module, name in ((cgroup, "MOUNTS"), (cgroup, "GROUPS"), (free_memory, "MEMINFO")):
            monkeypatch.setattr(module, name, folder / name)
        monkeypatch.setattr(free_memory, "resource", None)

    def write(self, **files: str) -> None:
        """Writes files; in their names `__` stands for a folder and `_of_` for a dot."""
        for name, text in files.items():
            file = self.folder / name.replace("__", "/").replace("_of_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def mount(self, own: str, root: str = "/", version: int = 2) -> None:
        """Mounts the tree `fs` from group `root` on; this process is in group `own`."""
        kind = "cgroup2 cgroup2 rw" if version == 2 else "cgroup cgroup rw,memory,cpu"
        self.write(MOUNTS=f"31 23 0:28 / / rw - tmpfs tmpfs rw\n35 31 0:32 {root} {self.folder}/fs rw - {kind}\nodd\n")
        self.write(GROUPS=f"5:devices:/other\n4:memory,cpu:{own}\n" if version == 1 else f"3:cpu:/other\n0::{own}\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, FREE),
        ({"fs__a__b__memory_of_max": "max\n", "fs__a__b__memory_of_current": "500"}, FREE),
        ({"fs__a__b__memory_of_max": "2000000", "fs__a__b__memory_of_current": "500000"}, 1_500_000),
        ({"fs__a__b__memory_of_max": "9000000", "fs__a__b__memory_of_current": "500000"}, FREE),
        ({"fs__a__b__memory_of_max": "400000", "fs__a__b__memory_of_current": "500000"}, 0),
        ({"fs__a__b__memory_of_max": "2000000"}, 2_000_000),
        ({"fs__a__memory_of_max": "2000000", "fs__a__memory_of_current": "600000"}, 1_400_000),  # around it
        ({"fs__memory_of_max": "2000000", "fs__memory_of_current": "700000"}, 1_300_000),  # in a container: the root
        ({"fs__a__b__memory_of_high": "1000000", "fs__a__b__memory_of_current": "100000"}, 900_000),
        ({"fs__a__memory_of_max": "2000000", "fs__a__memory_of_current": "500000", "fs__a__memory_of_stat": STAT},
         1_650_000),  # pages of files are given back
        ({"fs__a__c__memory_of_max": "1000"}, FREE),  # another's
        ({"fs__a__b__memory_of_max": "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")}, FREE),
        ({"fs__a__b__memory_of_max": ""}, FREE),
    ],
)  # fmt: skip
def test_the_memory_left_is_what_the_system_and_all_groups_leave(
    machine: Machine, files: dict[str, str], free: int
) -> None:
    machine.mount("/a/b")
    machine.write(MEMINFO=MEMINFO, **files)
    assert available_bytes() == free


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({"fs__a__memory_of_limit_in_bytes": "2000000", "fs__a__memory_of_usage_in_bytes": "500000"}, 1_500_000),
        ({"fs__a__memory_of_limit_in_bytes": HUGE, "fs__a__memory_of_usage_in_bytes": "500000"}, FREE),
        ({"fs__memory_of_limit_in_bytes": "2000000", "fs__memory_of_usage_in_bytes": "500000",
          "fs__memory_of_stat": STAT_1}, 1_650_000),
    ],
)  # fmt: skip
def test_groups_of_version_1_are_read_too(machine: Machine, files: dict[str, str], free: int) -> None:
    machine.mount("/a", version=1)
    machine.write(MEMINFO=MEMINFO, **files)
    assert available_bytes() == free


def test_the_groups_of_a_process_are_found_below_what_is_mounted(machine: Machine) -> None:
    fs = machine.folder / "fs"
    assert group_folders("memory") == []  # a system that has none
    machine.mount("/a/b")
    assert group_folders("memory") == [fs / "a" / "b", fs / "a", fs]
    machine.mount("/docker/1/job", root="/docker/1", version=1)  # a container that sees its host's paths
    assert group_folders("memory") == [fs / "job", fs]
    assert group_folders("cpu") == group_folders("memory")
    assert group_folders("pids") == []
    for own in ("/../../x", "/elsewhere", "/docker/12"):
        machine.mount(own, root="/docker/1")
        assert group_folders("memory") == [fs]
    machine.mount("/a b", root="/")
    machine.write(MOUNTS=(machine.folder / "MOUNTS").read_text().replace(f"{fs}", f"{fs}\\040x"))
    assert group_folders("memory") == [machine.folder / "fs x" / "a b", machine.folder / "fs x"]


def test_without_the_system_s_word_all_memory_counts(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory.os, "sysconf", {"SC_PHYS_PAGES": 256, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert available_bytes() == 2**20


def test_this_machine_says_how_much_is_left() -> None:
    free = available_bytes()
    assert isinstance(free, int)
    assert 0 < free < 2**60


@pytest.mark.parametrize("name", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_a_limit_of_the_shell_is_a_limit(name: str) -> None:
    code = "from bpcli.numeric.free_memory import available_bytes; print(available_bytes())"

    def limit() -> None:
        resource.setrlimit(getattr(resource, name), (700 << 20, 700 << 20))

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, preexec_fn=limit, check=True
    )
    assert 400 << 20 < int(done.stdout) < 700 << 20


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"fs__a__cpu_of_max": "max 100000"}, 8),
        ({"fs__a__cpu_of_max": "200000 100000"}, 2),
        ({"fs__a__cpu_of_max": "150000 100000"}, 2),
        ({"fs__a__cpu_of_max": "1000 100000"}, 1),
        ({"fs__cpu_of_max": "300000 100000", "fs__a__cpu_of_max": "max 100000"}, 3),
        ({"fs__a__cpu_of_max": "900000 100000"}, 8),
        ({"fs__a__cpu_of_max": "x"}, 8),
    ],
)
def test_cores_are_those_that_this_process_may_use(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    machine.mount("/a")
    machine.write(**files)
    assert threads.usable_cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("250000", 3), ("0", 8)])
def test_the_processor_time_of_version_1_counts_too(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    machine.mount("/a", version=1)
    machine.write(fs__a__cpu_of_cfs_quota_us=quota, fs__a__cpu_of_cfs_period_us="100000")
    assert threads.usable_cores() == cores
