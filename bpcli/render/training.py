"""A training as it goes: on a terminal a table that grows, with a bar for the steps inside the epoch; elsewhere one
plain line for each epoch."""

from __future__ import annotations

import sys
import time

from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from bpcli.records import EpochRow, TrainReport
from bpcli.render.console import console
from bpcli.render.numbers import seconds, short
from bpcli.studies.train import Training, Watcher

REFRESH = 0.1  # seconds between two drawings of the bar
NARROW = 7
"""The width of a column at least."""


def watcher() -> Watcher:
    """The one that suits stderr."""
    return LiveTable() if sys.stderr.isatty() else Lines()


def columns(training: Training) -> list[tuple[str, str]]:
    """Key and header of every column, in order of interest behind the fixed ones."""
    judged = "validation" if training.validation is not None else "train"
    found = [("train.loss", "loss")]
    if training.objective.penalties:
        found.append(("penalty", "penalty"))
    if judged == "validation":
        found.append(("validation.loss", "val loss"))
    if training.tally is not None:
        found += [(f"train.{m}", f"train {m}" if judged == "validation" else m) for m in training.metrics]
    if judged == "validation":
        found += [(f"validation.{m}", f"val {m}") for m in training.metrics]
    found.append(("gradient_norm", "|grad|"))
    if training.experiment.clipping is not None:
        found += [("clipped", "clipped"), ("clip_factor", "factor")]
    return [*found, ("seconds", "time")]


def cell(row: EpochRow, key: str) -> str:
    """What stands in a column."""
    if "." in key:
        return short(row.metrics[key])
    value: float = getattr(row, key)
    if key == "clipped":
        return f"{100 * value:.0f}%"
    return seconds(value) if key == "seconds" else short(value)


class Lines(Watcher):
    """One plain line for each epoch, names beside the numbers."""

    def started(self, run: Training) -> None:
        self._console = console(sys.stderr)
        self._columns = columns(run)
        self._epochs = run.experiment.training.epochs
        self._console.print(_opening(run), soft_wrap=True)

    def epoch(self, row: EpochRow) -> None:
        cells = "  ".join(f"{header} {cell(row, key)}" for key, header in self._columns)
        self._console.print(f"epoch {row.epoch}/{self._epochs}  {cells}{'  best' * row.best}", soft_wrap=True)


class LiveTable(Watcher):
    """A growing table; below it a bar for the epoch that runs. What does not fit the width is in metrics.jsonl."""

    def started(self, run: Training) -> None:
        self._console = console(sys.stderr)
        self._epochs = run.experiment.training.epochs
        self._columns = self._fitting(columns(run))
        self._drawn = 0.0
        self._console.print(_opening(run))
        header = Text(self._line("epoch", [h for _, h in self._columns]), style="bold")
        self._console.print(header)
        self._console.print(
            Text("─" * len(header) if not self._console.options.ascii_only else "-" * len(header), "dim")
        )
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(), console=self._console, transient=True, auto_refresh=False, redirect_stdout=False,
            redirect_stderr=False,
        )  # fmt: skip
        self._task = self._progress.add_task(f"epoch {run.progress.epoch + 1}", total=run.steps_per_epoch, loss="")
        self._live = Live(
            self._progress, console=self._console, transient=True, auto_refresh=False, redirect_stdout=False,
            redirect_stderr=False,
        )  # fmt: skip
        self._live.start()

    def stepped(self, done: int, of: int, loss: float) -> None:
        now = time.monotonic()
        if now - self._drawn > REFRESH:
            self._drawn = now
            self._progress.update(self._task, completed=done, loss=f"loss {short(loss)}")
            self._live.refresh()

    def epoch(self, row: EpochRow) -> None:
        line = Text(self._line(f"{row.epoch}/{self._epochs}", [cell(row, key) for key, _ in self._columns]))
        if row.best:
            line.stylize("bold green")
        self._console.print(line)
        self._progress.reset(self._task, description=f"epoch {row.epoch + 1}", loss="")

    def stop(self) -> None:
        """Takes the bar away."""
        self._live.stop()

    def _line(self, first: str, cells: list[str]) -> str:
        widths = [max(NARROW, len(h)) for _, h in self._columns]
        shown = "  ".join(c.rjust(w) for c, w in zip(cells, widths, strict=True))
        return f"{first.rjust(2 * len(str(self._epochs)) + 1)}  {shown}"

    def _fitting(self, wanted: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The columns that fit the width: what goes first is what says least about success."""
        found = list(wanted)
        for dropped in ("clip_factor", "penalty", "clipped", "gradient_norm"):
            self._columns = found
            if len(self._line("", [""] * len(found))) <= self._console.width:
                break
            found = [c for c in found if c[0] != dropped]
        return found


def _opening(run: Training) -> Text:
    rows = ", ".join(f"{s.name} {len(s.x)}" for s in run.setup.prepared.splits.values())
    text = Text(f"{run.experiment.name}: {run.setup.blueprint.size:,} parameters, rows: {rows}, ")
    text.append(f"{run.steps_per_epoch} step{'s' * (run.steps_per_epoch > 1)} of {run.size} rows an epoch")
    return text


def closing(report: TrainReport) -> Text:
    """How it ended, which weights were kept, what to type next."""
    last = (
        f"{report.epochs[-1].epoch} epochs in {seconds(report.seconds)}" if report.epochs else "no epoch was completed"
    )
    text = Text(f"{last}; {report.reason}\n")
    text.append(
        f"kept: the weights of epoch {report.best_epoch}\n" if report.best_epoch else "kept: the first weights\n"
    )
    if report.stopped == "signal":
        text.append(f"go on:  bpcli train --resume {report.run}\n", "bold")
    text.append(f"next:   bpcli eval {report.run}", "bold")
    return text
