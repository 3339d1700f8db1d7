"""The tables in the comments of configs/gradients/*.yaml: a setting and its figures a line, read and measured."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from paths import CONFIGS

from bpcli.records.training import TrainReport
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up

FOLDER = CONFIGS / "gradients"
NAMES = ("vanishing", "normalization", "residual", "initialization", "learning_rate", "clipping_value",
         "clipping_norm", "dropout", "optimizers")  # fmt: skip
SEEDS = range(5)
AS_IT_STANDS = "as it stands"
WATCHED = "training.watch=true"
FIRST_STEP = (WATCHED, "training.epochs=1", "training.batch_size=full", "optimizer.learning_rate=1e-9")
BEFORE = ("first/last", "first", "last", "satur.")  # is watched at that step
AT_THE_END = ("update", "dead")  # is watched in the last epoch
INDENT, DEEPER = "#   ", "#       "
LOGARITHMIC = ("first/last", "first", "train loss", "update", "steps")
RANGED = ("accuracy", "R2", "validation loss", "steps")  # told with the least and the most


@dataclass(frozen=True)
class Figure:
    """A median, and the least and the most; nan where training diverges, which is less than any."""

    middle: float
    least: float
    most: float

    def __str__(self) -> str:
        middle, least, most = map(written, (self.middle, self.least, self.most))
        return middle if least == most else f"{middle} ({least} to {most})"

    @classmethod
    def read(cls, text: str) -> Figure:
        if text == "diverges":
            return cls(math.nan, math.nan, math.nan)
        middle, _, rest = text.partition(" (")
        least, _, most = rest.rstrip(")").partition(" to ")
        values = [math.nan if v == "diverges" else float(v) for v in (middle, least or middle, most or middle)]
        return cls(*values)


def written(value: float) -> str:
    """Three digits, two of what is very small."""
    if math.isnan(value):
        return "diverges"
    if value == int(value) or value >= 100:
        return f"{value:.0f}"
    return f"{value:#.3g}" if value >= 0.01 else f"{value:.1e}"


def table(name: str) -> dict[str, dict[str, Figure]]:
    """The figures of each setting by their columns. A line that is indented deeper goes on with the one before."""
    rows: list[str] = []
    for line in (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines():
        if line.startswith(DEEPER) and rows:
            rows[-1] += "  " + line.removeprefix(DEEPER).strip()
        elif line.startswith(INDENT):
            rows.append(line.removeprefix(INDENT))
    _, *columns = re.split(r"  +", rows[0])
    found = {}
    for row in rows[1:]:
        setting, *cells = re.split(r"  +", row)
        assert len(cells) == len(columns), row
        found[setting] = dict(zip(columns, map(Figure.read, cells), strict=True))
    return found


def sets(setting: str) -> list[str]:
    """What a line gives to --set, spelled out as bash and zsh do."""
    if setting == AS_IT_STANDS:
        return []
    words = [word for text in split(setting) for word in spelled_out(text)]
    found = []
    while words:
        word = words.pop(0)
        found.append(words.pop(0) if word == "--set" else word.removeprefix("--set="))
    return found


def split(setting: str) -> list[str]:
    """The words of a shell line, quotes left on."""
    return re.findall(r"(?:[^\s']|'[^']*')+", setting)


def spelled_out(word: str) -> list[str]:
    """A word with {0..8}, {1..17..2} or {1,3} outside of quotes spelled out, then without its quotes."""
    found = re.match(r"([^']*?)\{([\d.,]+)\}(.*)", word)
    if not found:
        return shlex.split(word)
    before, inside, after = found.groups()
    low, _, rest = inside.partition("..")
    high, _, by = rest.partition("..")
    places = range(int(low), int(high) + 1, int(by or 1)) if rest else inside.split(",")
    return [word for place in places for word in spelled_out(f"{before}{place}{after}")]


@cache
def trained(name: str, setting: str, more: tuple[str, ...], seed: int, out: Path) -> TrainReport:
    """A training with this setting, and with what more is set."""
    overrides = [*sets(setting), *more, f"seed={seed}"]
    return start(set_up(FOLDER / f"{name}.yaml", overrides), out / str(len(list(out.iterdir())))).run()


def measured(name: str, setting: str, column: str, seed: int, out: Path) -> float:
    """The figure of one seed; nan where training diverges, inf where a goal is not reached."""
    more = FIRST_STEP if column in BEFORE else (WATCHED,) if column in AT_THE_END else ()
    report = trained(name, setting, more, seed, out)
    if report.stopped == "diverged":
        return math.nan
    watch = report.epochs[-1].watch
    if column in ("first/last", "first", "last"):
        norms = [v for k, v in watch.items() if k.endswith(".gradient")]
        return {"first": norms[0], "last": norms[-1], "first/last": norms[0] / norms[-1]}[column]
    if column == "seconds":
        return report.seconds
    figure = {"satur.": "saturated"}.get(column, column)
    if figure in ("dead", "update", "saturated"):
        return max(v for k, v in watch.items() if k.endswith(f".{figure}"))
    if column == "steps":
        return len(report.epochs) if report.stopped == "goal" else math.inf
    keys = {"accuracy": "validation.accuracy", "R2": "validation.r2", "train loss": "train.loss",
            "validation loss": "validation.loss"}  # fmt: skip
    kept = next(r for r in report.epochs if r.epoch == report.best_epoch)
    return kept.metrics[keys[column]]


def over_seeds(name: str, setting: str, column: str, out: Path) -> Figure:
    """The figure of all seeds, an odd number. One that diverges is less than any other."""
    values = sorted(
        (measured(name, setting, column, seed, out) for seed in SEEDS), key=lambda v: (not math.isnan(v), v)
    )
    middle = values[len(values) // 2]
    return Figure(middle, values[0], values[-1]) if column in RANGED else Figure(middle, middle, middle)
