"""Mutation testing of bpcli: `PYTHONPATH=tests/support python -m mutation --help`."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mutation.equivalents import read_equivalents
from mutation.mutant import Mutant
from mutation.report import survivor, table
from mutation.rooms import COUNTS, by_room, draw, on_lines, room_of, sources
from mutation.runner import Copy, Runner, read_results

ROOT = Path(__file__).resolve().parents[3]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m mutation", description="Runs mutants of bpcli; goes on where it stopped."
    )
    parser.add_argument("--room", action="append", choices=list(COUNTS), help="only this room (repeatable)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the draw")
    parser.add_argument("--count", type=int, help="mutants a room, in place of its own number")
    parser.add_argument("--only", default="", help="only mutants whose file, function or line holds this text")
    parser.add_argument("--since", metavar="COMMIT", help="every mutant of the lines changed since, in place of a draw")
    parser.add_argument("--again", action="store_true", help="run those again that were not noticed")
    parser.add_argument(
        "--budget", type=float, default=0, metavar="SECONDS", help="most test time of one mutant; 0: all tests"
    )
    parser.add_argument("--until", metavar="HH:MM", help="start no mutant after this time of day")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "bpcli-mutation",
        help="folder for the copy, the lines and the results",
    )
    parser.add_argument("--report", action="store_true", help="run nothing, print the table and what is left")
    return parser.parse_args()


def changed_lines(commit: str) -> dict[str, set[int]]:
    """The lines of the package that differ from those of a commit, by file."""
    command = ["git", "-C", str(ROOT), "diff", "-U0", commit, "--", "bpcli"]
    found: dict[str, set[int]] = {}
    file = ""
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        if line.startswith("+++ b/"):
            file = line.removeprefix("+++ b/")
        elif place := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line):
            first, count = int(place[1]), int(place[2] or 1)
            found.setdefault(file, set()).update(range(first, first + count))
    return found


def chosen(options: argparse.Namespace, texts: dict[str, str]) -> dict[str, list[Mutant]]:
    """The mutants to run, by room."""
    rooms = by_room(texts)
    if options.since:
        changed = changed_lines(options.since)
        found = {r: [m for m in on_lines(among, changed) if m.differs(texts[m.file])] for r, among in rooms.items()}
    else:
        found = {r: draw(r, among, texts, options.seed, options.count or COUNTS[r]) for r, among in rooms.items()}
    wanted = options.room or list(found)
    return {r: [m for m in found[r] if options.only in m.key] for r in wanted}


def main() -> None:
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    results = options.work / "results.jsonl"
    texts = sources(ROOT)
    drawn = chosen(options, texts)
    equivalents = read_equivalents()
    if not options.report:
        run(options, texts, drawn, results, set(equivalents))
    rows = read_results(results)
    status = {
        r: {
            m.key: "equivalent" if m.key in equivalents else rows.get(m.key, {"status": "to run"})["status"] for m in ms
        }
        for r, ms in drawn.items()
    }
    print("\n".join(table(status)))
    for mutant in (m for ms in drawn.values() for m in ms):
        if status[room_of(mutant)][mutant.key] in ("survived", "open"):
            print("\n".join(survivor(rows[mutant.key], mutant.line)))


def run(
    options: argparse.Namespace, texts: dict[str, str], drawn: dict[str, list[Mutant]], results: Path, skipped: set[str]
) -> None:
    """Runs what has no result yet, and says so on standard error, a line for each mutant."""
    done = read_results(results)
    retried = ("survived", "open") if options.again else ()
    waiting = [
        (room, m)
        for room, ms in drawn.items()
        for m in ms
        if m.key not in skipped and (m.key not in done or done[m.key]["status"] in retried)
    ]
    if not waiting:
        return
    copy = Copy(ROOT, options.work)
    copy.make()
    copy.record()
    with Runner(copy, texts, results, options.budget) as runner:
        for k, (room, mutant) in enumerate(waiting):
            if options.until and time.strftime("%H:%M") >= options.until:
                break
            row = runner.run(room, mutant)
            sys.stderr.write(
                f"{k + 1}/{len(waiting)} {room} {mutant.file}:{mutant.line} {row['status']} {row['wall']} s\n"
            )


if __name__ == "__main__":
    os.nice(10)
    main()
