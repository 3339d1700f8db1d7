"""Hostile files against the real commands: `PYTHONPATH=tests/support python -m hostile --help`."""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hostile.judge import SECONDS, Folder, inside, judge
from hostile.kinds import KINDS, Kind, case, put
from hostile.valid import make_folder

MEMORY = 1536 << 20  # bytes of address space that a command may have
AT_A_TIME = 400  # cases of one process


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hostile", description="Runs commands on hostile files.")
    parser.add_argument("--count", type=int, default=20_000, help="cases, over all kinds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", choices=[k.name for k in KINDS], help="only this kind (repeatable)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case of each kind")
    parser.add_argument("--debug", action="store_true", help="print all that the commands said")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--worker", nargs=3, metavar=("KIND", "FIRST", "LAST"), help=argparse.SUPPRESS)
    return parser.parse_args()


def work(options: argparse.Namespace) -> None:
    """Runs the cases of one kind in this process, and prints a line of JSON before and after each."""
    name, first, last = options.worker
    kind = next(k for k in KINDS if k.name == name)
    for limit, value in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(limit, (value, value))
    folder = Folder(options.folder / "work", options.folder / "kept")
    folder.restore()
    with inside(folder.path):
        for number in range(int(first), int(last)):
            print(json.dumps({"begun": number}), flush=True)
            data, commands = case(kind, options.seed, number, folder)
            for words in commands:
                began = time.process_time()
                typed = put(kind, data, words, folder)
                found = judge(["--debug", *typed] if options.debug else typed)
                folder.restore()
                seconds = time.process_time() - began
                print(json.dumps({"number": number, "words": words, "seconds": seconds, **vars(found)}), flush=True)
                if found.code != 0:
                    break


def results(kind: Kind, first: int, last: int, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yields what the cases gave; a process that dies is a finding, and another goes on after it."""
    while first < last:
        end = min(first + AT_A_TIME, last)
        command = [
            sys.executable,
            "-m",
            "hostile",
            "--seed",
            str(options.seed),
            "--folder",
            str(options.folder),
            *["--debug"] * options.debug,
            "--worker",
            kind.name,
            str(first),
            str(end),
        ]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )
        begun = first - 1
        assert process.stdout is not None
        for text in lines_within(process):
            found = json.loads(text)
            begun = found.get("begun", begun)
            if "words" in found:
                yield found
        code = process.wait()
        if code == 0:
            first = end
            continue
        _, said = process.communicate()
        assert begun >= first, said
        yield {
            "number": begun,
            "words": (),
            "seconds": 0.0,
            "code": code,
            "fault": f"the process died: {code}",
            "said": said[-2000:],
        }
        first = begun + 1


def lines_within(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yields the lines of a process, which is killed where it says nothing for much longer than a command may take."""
    import selectors

    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    chosen, rest = selectors.DefaultSelector(), b""
    chosen.register(process.stdout, selectors.EVENT_READ)
    while True:
        if not chosen.select(6 * SECONDS):
            process.kill()
            return
        block = os.read(process.stdout.fileno(), 1 << 16)
        if not block:
            return
        *whole, rest = (rest + block).split(b"\n")
        yield from (line.decode() for line in whole)


def main() -> int:
    options = arguments()
    if options.worker:
        work(options)
        return 0
    with tempfile.TemporaryDirectory() as made:
        options.folder = Path(made)
        (options.folder / "work").mkdir()
        make_folder(options.folder / "work")
        shutil.copytree(options.folder / "work", options.folder / "kept")
        return try_kinds(options)


def try_kinds(options: argparse.Namespace) -> int:
    """Tries the kinds that are asked for, and prints the table and every failure."""
    kinds = [k for k in KINDS if not options.kind or k.name in options.kind]
    shares = sum(k.share for k in kinds)
    failures: list[str] = []
    print(f"{'kind':22}{'tried':>7}{'refused':>9}{'used':>7}{'failed':>8}{'slowest':>9}{'mean':>8}")
    for kind in kinds:
        count = max(1, round(options.count * kind.share / shares))
        ended: dict[int, str] = {}
        slowest, seconds, runs, faults = 0.0, 0.0, 0, Counter[int]()
        for found in results(kind, options.first, options.first + count, options):
            ended[found["number"]] = "used" if found["code"] in (0, 3) else "refused"
            slowest, seconds, runs = max(slowest, found["seconds"]), seconds + found["seconds"], runs + 1
            if found["fault"]:
                faults[found["number"]] += 1
                failures.append(f"{kind.name} {found['number']}: {' '.join(found['words'])!r}: {found['fault']}")
                print("  ", failures[-1], flush=True)
            if options.debug:
                print(found["words"], found["code"], found["said"])
        used = sum(e == "used" for n, e in ended.items() if n not in faults)
        refused = sum(e == "refused" for n, e in ended.items() if n not in faults)
        mean = 1000 * seconds / max(1, runs)
        figures = f"{len(ended):7}{refused:9}{used:7}{len(faults):8}{slowest:8.2f}s{mean:6.0f}ms"
        print(f"{kind.name:22}{figures}", flush=True)
    print(f"{len(failures)} failures")
    return int(bool(failures))


sys.exit(main())
