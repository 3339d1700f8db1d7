"""How large and how strong: a handful of settings around a first guess, compared by folds on the rows that are not
test."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bpcli.config.document import Document
from bpcli.config.dump import flow
from bpcli.config.edit import edit
from bpcli.config.yamlfile import parse
from bpcli.family import Loss
from bpcli.records.search import Comparison, TrialScores
from bpcli.records.training import Failure, Problem
from bpcli.studies.search.compare import TrialCallbacks, compare
from bpcli.studies.search.trial import Trial

ROBUST = "capped_loss"  # the loss, but that a mistyped cell cannot rule
FOLDS_BY_ROWS = ((20_000, 5), (1 << 62, 3))
"""By the greatest number of rows: folds."""


@dataclass(frozen=True)
class Factors:
    """What some settings of a first guess are multiplied by."""

    epochs: float = 1.0  # patience too
    strength: float = 1.0
    units: float = 1.0
    patience: float = 1.0


FACTORS: Sequence[Factors] = (
    Factors(),
    Factors(epochs=3, strength=0.3),
    Factors(strength=3),
    Factors(epochs=3, strength=0.1),
    Factors(strength=10),
    Factors(epochs=3, strength=0.1, units=2),
    Factors(epochs=10, strength=0.1),
    Factors(epochs=1 / 3),
    Factors(units=0.5),
    Factors(patience=4),
)
"""What is tried, in this order: the first guess, then what helps most often."""


@dataclass(frozen=True)
class Tuning:
    """How settings are compared: for how many seconds at most (None: until all are), and what follows the trials."""

    seconds: float | None = None
    on_start: Callable[[int, int, str], None] = lambda settings, folds, figure: None
    callbacks: TrialCallbacks = lambda place, fold: ()
    on_trial_end: Callable[[int, TrialScores], None] = lambda place, scores: None


def tune(text: str, file: str, root: Path, rows: int, tuning: Tuning) -> Comparison:
    """Compares settings of the config `text`, whose paths are relative to `root` and whose data has so many rows. The
    test rows are not looked at. Raises Failure where its rows cannot be divided into folds, and as `compare` does."""
    document = parse(text, file)
    settings, (figure, kept) = settings_to_try(document), deciding_figures(document)
    folds = next(count for most, count in FOLDS_BY_ROWS if rows <= most)
    tuning.on_start(len(settings), folds, figure)
    try:
        trial = Trial(text, file, root, _judged_by(document, figure), folds)
        return compare(trial, settings, tuning.seconds, tuning.callbacks, tuning.on_trial_end, figure, kept)
    except Failure as failure:
        help = "leave --tune out: the first guess is written as it is"
        problems = (Problem(f"settings cannot be compared by {folds} folds: {p.text}", p.code, help=help)
                    for p in failure.problems)  # fmt: skip
        raise Failure(*problems, exit=failure.exit) from None


def deciding_figures(document: Document) -> tuple[str, str]:
    """Returns the figure by which settings are told apart, and one that must not get worse (none where it is empty). Of
    numbers the first is the loss with no single row above its share. Of classes it is the loss itself, since a few rows
    that are sure of the wrong class make most of it, and they are what is to be avoided; and accuracy is kept, since
    the loss can fall while more rows get the wrong class."""
    if not Loss.parse(document.data["loss"]).classifies:
        return ROBUST, ""
    return "loss", next(iter(document.data["training"].get("metrics", [])), "")


def _judged_by(document: Document, figure: str) -> tuple[str, ...]:
    """Returns the setting by which a figure is measured; none where the config measures it as it is."""
    metrics = document.data["training"].get("metrics", [])
    return () if figure in ("loss", *metrics) else (f"training.metrics={flow([*metrics, figure])}",)


def settings_to_try(document: Document) -> list[tuple[str, ...]]:
    """Returns the settings to try with a config, () for its own first; none twice, and none that it does not have."""
    return list(dict.fromkeys(_settings(document, factors) for factors in FACTORS))


def _settings(document: Document, factors: Factors) -> tuple[str, ...]:
    training = document.data["training"]
    found = _changed("training.epochs", training["epochs"], factors.epochs)
    patience = training.get("early_stopping", {}).get("patience")
    found += _changed("training.early_stopping.patience", patience, factors.epochs * factors.patience)
    found += _changed("regularization.strength", document.data.get("regularization", {}).get("strength"),
                      factors.strength)  # fmt: skip
    for place, layer in enumerate(document.data["architecture"][:-1]):
        if isinstance(layer, dict) and layer["type"] == "dense":
            found += _changed(f"architecture.{place}.units", layer["units"], factors.units)
    return found


def _changed(path: str, value: Any, factor: float) -> tuple[str, ...]:
    """Returns the setting that multiplies a value; none where it is not there or stays what it is."""
    if value is None or factor == 1:
        return ()
    if isinstance(value, int):
        return (f"{path}={max(1, round(value * factor))}",)
    return (f"{path}={float(f'{value * factor:.2g}')}",)


def tuned_text(text: str, file: str, found: Comparison) -> str:
    """Returns a config with the settings that are to be taken."""
    return edit(parse(text, file), found.tried[found.chosen].sets) if found.tried else text


def words(sets: Sequence[str]) -> str:
    """Returns settings as a table names them: `epochs 180, units 64, 32`."""
    named: dict[str, list[str]] = {}
    for one in sets:
        path, _, value = one.partition("=")
        named.setdefault(path.rpartition(".")[2], []).append(value)
    return ", ".join(f"{name} {', '.join(values)}" for name, values in named.items()) or "as first guessed"


def tuning_remarks(found: Comparison, figure: str) -> list[str]:
    """Returns the lines of a config that say what was compared: a table with the figure that decides and one more."""
    if not found.tried:
        return [f"Settings were to be compared by {found.folds} folds, and there was no time to finish one."]
    lines = [
        f"Settings were compared by {found.folds} folds of the rows that are not test, each judged by networks",
        "that learned from the others: mean and standard error over the folds. The first guess stays,",
        f"unless its {found.figure} is above the least by more than one standard error of the differences",
        "fold by fold; of settings that are as good as the best one the first is taken.",
        *([f"None with a lower {found.kept} than its is taken."] if found.kept else []),
        "",
    ]
    cells = [[found.figure, "+-", figure, "+-", "seconds", "settings"]]
    rows = [
        [value for f in (found.figure, figure) for value in (scores.mean(f), scores.error(f))] for scores in found.tried
    ]
    places = [_decimals(row[k] for row in rows) for k in (0, 0, 2, 2)]
    for place, (scores, row) in enumerate(zip(found.tried, rows, strict=True)):
        numbers = [f"{value:.{digits}f}" for value, digits in zip(row, places, strict=True)]
        numbers = ["diverged", "", "", ""] if scores.diverged else numbers
        cells.append([*numbers, f"{scores.seconds:.1f}", words(scores.sets) + "   <- taken" * (place == found.chosen)])
    widths = [max(len(line[k]) for line in cells) for k in range(5)]
    for line in cells:
        lines.append("  " + "  ".join((*(c.rjust(w) for c, w in zip(line, widths, strict=False)), line[-1])))
    if found.left:
        lines += ["", "There was no time for:", *(f"  {words(sets)}" for sets in found.left)]
    return lines


def _decimals(values: Iterable[float]) -> int:
    """Returns how many decimals show four digits of the largest of these numbers."""
    largest = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    return max(0, 3 - math.floor(math.log10(largest or 1.0)))
