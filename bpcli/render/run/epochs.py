"""A training as it goes: on a terminal a table that grows, with a bar for the steps inside the epoch; elsewhere one
plain line for each epoch."""

import sys
import time
from itertools import groupby

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from bpcli.family import Callback
from bpcli.records.printable import shell_word
from bpcli.records.training import WATCH_PREFIX, EpochRow, Problem, TrainReport
from bpcli.render.console import can_redraw, console, print_problems, show_problems, write_to
from bpcli.render.numbers import duration, percent, seconds, short
from bpcli.render.run.layer_stats import TableColumn, layer_stats_table, watch_cell, watch_columns
from bpcli.studies.run.state import TrainingState

REFRESH_SECONDS = 0.1  # seconds between two drawings
DROPPED_FIRST = ("clip_factor", "penalty", "gradient_norm", "clipped", "seconds")
"""What a narrow terminal goes without, first what says least about success; then metrics, the last first."""


def table_columns(state: TrainingState) -> list[TableColumn]:
    """Returns what the table shows of this training."""
    found = [TableColumn("train.loss", "train", "loss")]
    if state.objective.penalties:
        found.append(TableColumn("penalty", "train", "penalty"))
    if state.train_metrics is not None:
        found += [TableColumn(f"train.{m}", "train", m) for m in state.metrics]
    if state.validation is not None:
        found += [TableColumn(f"validation.{m}", "validation", m) for m in ("loss", *state.metrics)]
    if state.layer_watch is not None:
        found += watch_columns(state.layer_watch.keys)
    found.append(TableColumn("gradient_norm", "", "|grad|"))
    if state.experiment.clipping is not None:
        found += [TableColumn("clipped", "", "clipped"), TableColumn("clip_factor", "", "factor")]
    return [*found, TableColumn("seconds", "", "seconds")]


def cell(row: EpochRow, key: str) -> str:
    """Returns what stands in a column."""
    if key.startswith(WATCH_PREFIX):
        return watch_cell(row.watch, key)
    if "." in key:
        return short(row.metrics[key])
    value: float = getattr(row, key)
    if key == "clipped":
        return percent(value)
    return seconds(value) if key == "seconds" else short(value)


def epoch_table(quiet: bool) -> list[Callback]:
    """Returns what shows the epochs on stderr, as suits it; warnings alone where it is to be quiet."""
    return [Warnings() if quiet else LiveTable() if can_redraw(sys.stderr) else EpochLines()]


class Warnings(Callback):
    """Shows what goes wrong on the way."""

    def on_warning(self, state: TrainingState, problem: Problem) -> None:
        show_problems([problem])


class EpochLines(Warnings):
    """One plain line for each epoch, names beside the numbers."""

    def on_train_begin(self, state: TrainingState) -> None:
        self._columns = table_columns(state)
        self._epochs = state.experiment.training.epochs
        write_to(sys.stderr, opening(state))

    def on_epoch_end(self, state: TrainingState, row: EpochRow) -> None:
        number = str(row.epoch).rjust(len(str(self._epochs)))
        cells = "  ".join(f"{c.name} {cell(row, c.key).rjust(6)}" for c in self._columns)
        write_to(sys.stderr, f"epoch {number}/{self._epochs}  {cells}{'  best' * row.best}")


class LiveTable(Callback):
    """A growing table; below it a bar for the epoch that runs. Drawn ten times a second, however fast epochs go."""

    _progress: Progress | None = None

    def on_train_begin(self, state: TrainingState) -> None:
        self._console = console(sys.stderr)
        self._epochs = state.experiment.training.epochs
        self._first = max(5, len(str(self._epochs)))
        wanted = table_columns(state)
        self._columns = self._columns_that_fit(wanted)
        self._waiting: list[Text] = []
        self._drawn = 0.0
        self._console.print(opening(state))
        for line in self._header(len(wanted) - len(self._columns)):
            self._console.print(line, no_wrap=True, overflow="crop")
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(), console=self._console, transient=True, auto_refresh=False, redirect_stdout=False,
            redirect_stderr=False,
        )  # fmt: skip
        self._task = self._progress.add_task(self._running(state.progress.epoch), total=state.steps_per_epoch, loss="")
        self._progress.start()

    def on_batch_end(self, state: TrainingState, loss: float) -> None:
        if self._progress is not None and time.monotonic() - self._drawn > REFRESH_SECONDS:
            self._progress.update(self._task, completed=state.progress.batch, loss=f"loss {short(loss)}")
            self._draw()

    def on_epoch_end(self, state: TrainingState, row: EpochRow) -> None:
        number = str(row.epoch).rjust(self._first)
        cells = [cell(row, c.key).rjust(c.width) for c in self._columns]
        mark = "*" if row.best else ""
        self._waiting.append(Text(" ".join((number, *cells)) + mark, "bold green" if row.best else ""))
        if self._progress is not None:
            self._progress.reset(self._task, description=self._running(row.epoch), loss="")
        if time.monotonic() - self._drawn > REFRESH_SECONDS:
            self._draw()

    def on_warning(self, state: TrainingState, problem: Problem) -> None:
        self._draw()
        print_problems(self._console, [problem])

    def on_train_end(self, state: TrainingState, report: TrainReport | None) -> None:
        """Takes the bar away, if there is one."""
        if self._progress is not None:
            self._draw()
            self._progress.stop()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        if self._waiting:
            self._console.print(Text("\n").join(self._waiting), no_wrap=True, overflow="crop")
            self._waiting.clear()
        if self._progress is not None:
            self._progress.refresh()

    def _running(self, done: int) -> str:
        return f"epoch {min(done + 1, self._epochs)}/{self._epochs}"

    def _header(self, missing: int) -> list[Text]:
        """Returns the splits, the names under them, and a remark on columns there is no room for."""
        dash = "-" if self._console.options.ascii_only else "─"
        over = [" " * self._first]
        for split, group in groupby(self._columns, lambda c: c.split):
            width = sum(c.width + 1 for c in group) - 1
            name = split if len(split) <= width else f"..{split[2 - width :]}"
            over.append((f" {name} " if len(name) <= width - 2 else name).center(width, dash) if name else " " * width)
        names = [c.header.rjust(c.width) for c in self._columns]
        lines = [Text(" ".join(over).rstrip(), "dim"), Text(" ".join(("epoch".rjust(self._first), *names)), "bold")]
        if missing:
            lines.insert(0, Text(f"+{missing} columns in metrics.jsonl", "dim"))
        return lines

    def _columns_that_fit(self, wanted: list[TableColumn]) -> list[TableColumn]:
        """Returns the columns that fit the width."""
        found = list(wanted)
        metrics = [c.key for c in reversed(wanted) if "." in c.key and c.header not in ("loss", "penalty")]
        for key in (*DROPPED_FIRST, *metrics, "train.loss"):
            if self._first + sum(c.width + 1 for c in found) < self._console.width:
                break
            found = [c for c in found if c.key != key]
        return found or wanted[:1]


def opening(state: TrainingState) -> str:
    """Returns what is trained on what."""
    rows = ", ".join(f"{s.name} {len(s.x):,}" for s in state.setup.prepared.splits.values())
    steps = f"{state.steps_per_epoch:,} step{'s' * (state.steps_per_epoch > 1)} of {state.batch_size:,} rows an epoch"
    text = f"{state.experiment.name}: {state.setup.network_plan.size:,} parameters; rows: {rows}; {steps}"
    early = state.experiment.training.early_stopping
    if early is not None:
        text += f"; best by {early.metric}"
    p = state.progress
    if p.step and p.epoch < state.experiment.training.epochs:
        text += f"\ngoes on in epoch {p.epoch + 1}, batch {p.batch + 1}"
    return text


def closing(report: TrainReport) -> Text:
    """Returns how it ended, which weights were kept, what to type next."""
    run = shell_word(report.run)
    done = f"{report.epochs[-1].epoch} epochs in {duration(report.seconds)}" if report.epochs else "no epoch completed"
    texts = {"epochs": f"{report.reason}, in {duration(report.seconds)}", "diverged": done}
    text = Text(texts.get(report.stopped, f"{report.reason}; {done}") + "\n")
    if report.epochs and report.epochs[-1].watch:
        text.append("\n".join(("", *layer_stats_table(report.epochs[0], report.epochs[-1]), "", "")))
    if report.stopped == "signal":
        text.append(f"go on:  bpcli train --resume {run}", "bold")
        return text
    text.append(
        f"kept: {'the weights of epoch ' + str(report.best_epoch) if report.best_epoch else 'the first weights'}\n"
    )
    text.append(f"next:   bpcli eval {run}", "bold")
    return text
