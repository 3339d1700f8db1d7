"""The rooms of the package that mutants are drawn from, and the draw."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from mutation.mutant import Mutant
from mutation.operators import mutants

COUNTS = {
    "engine": 60, "notation": 100, "numeric": 40, "config": 50, "family": 40, "data": 60, "dataset": 50, "resume": 50,
    "training": 50, "metrics": 40, "schedules": 40, "optimizers": 50, "clippers": 40, "regularizers": 40,
    "initializers": 40, "trace": 50, "records": 20, "render": 40, "cli": 40, "studies": 40, "equations": 60,
    "layers": 80, "activations": 50, "losses": 50, "gradcheck": 50,
}  # fmt: skip
"""How many mutants are drawn from a room unless `--count` says otherwise; the order in which rooms are run."""

FOLDERS = {
    "bpcli/parts/layers/": "layers", "bpcli/parts/activations/": "activations", "bpcli/parts/losses/": "losses",
    "bpcli/parts/optimizers/": "optimizers", "bpcli/parts/clippers.py": "clippers",
    "bpcli/parts/schedules/": "schedules", "bpcli/parts/regularizers.py": "regularizers",
    "bpcli/parts/constraints.py": "regularizers", "bpcli/parts/initializers.py": "initializers",
    "bpcli/parts/metrics/": "metrics", "bpcli/parts/": "data", "bpcli/studies/dataset/": "dataset",
    "bpcli/config/": "config", "bpcli/notation/": "notation", "bpcli/engine/": "engine", "bpcli/numeric/": "numeric",
    "bpcli/studies/run/trainer.py": "training", "bpcli/studies/run/scoring.py": "training",
    "bpcli/studies/run/setup.py": "training", "bpcli/studies/run/early_stopping.py": "training",
    "bpcli/studies/run/callbacks.py": "training", "bpcli/studies/run/layer_stats.py": "training",
    "bpcli/studies/run/": "resume", "bpcli/studies/gradcheck/": "gradcheck", "bpcli/studies/custom/": "gradcheck",
    "bpcli/studies/trace/": "trace", "bpcli/studies/mistakes/": "trace", "bpcli/studies/witness/": "trace",
    "bpcli/studies/": "studies", "bpcli/records/": "records", "bpcli/render/": "render", "bpcli/cli/": "cli",
    "bpcli/family/": "family", "bpcli/": "cli",
}  # fmt: skip
"""The room of a file: that of the first of these which its path starts with. Mutants of equations are a room of their
own, wherever they stand."""


UNTESTED = {"bpcli/parts/data/parquet.py"}
"""Files whose tests need an extra that README's test command does not install."""


def room_of(mutant: Mutant) -> str:
    if mutant.kind == "equation":
        return "equations"
    return next(room for start, room in FOLDERS.items() if mutant.file.startswith(start))


def sources(root: Path) -> dict[str, str]:
    """The files of the package that mutants are made of, by their path from the root."""
    files = sorted((root / "bpcli").rglob("*.py"))
    texts = {file.relative_to(root).as_posix(): file.read_text(encoding="utf-8") for file in files}
    return {file: text for file, text in texts.items() if file not in UNTESTED}


def by_room(texts: dict[str, str]) -> dict[str, list[Mutant]]:
    found: dict[str, list[Mutant]] = {room: [] for room in COUNTS}
    for file, source in texts.items():
        for mutant in mutants(file, source):
            found[room_of(mutant)].append(mutant)
    return found


def draw(room: str, among: Sequence[Mutant], texts: dict[str, str], seed: int, count: int) -> list[Mutant]:
    """`count` mutants, drawn line by line so that a long line is not more likely than a short one; fewer where the
    room has fewer lines. A line's lot depends on its text alone: a change elsewhere leaves what is drawn as it was."""
    lines: dict[tuple[str, int], list[Mutant]] = defaultdict(list)
    for mutant in among:
        lines[mutant.file, mutant.line].append(mutant)

    def lot(mutant: Mutant, *words: str) -> bytes:
        text = "\t".join((str(seed), room, mutant.file, mutant.function, mutant.old_line.strip(), *words))
        return hashlib.blake2b(text.encode(), digest_size=8).digest()

    drawn: list[Mutant] = []
    for choices in sorted(lines.values(), key=lambda found: lot(found[0])):
        if len(drawn) == count:
            break
        order = sorted(choices, key=lambda m: lot(m, m.new_line.strip()))
        drawn += next(([m] for m in order if m.differs(texts[m.file])), [])
    return drawn


def on_lines(among: Iterable[Mutant], changed: dict[str, set[int]]) -> list[Mutant]:
    """Those that stand on these lines of these files."""
    return [m for m in among if m.line in changed.get(m.file, ())]
