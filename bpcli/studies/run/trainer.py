"""Training: the seven-step algorithm, epoch after epoch, until it has run its course, a goal is reached, nothing
improves any more, a number stops being one, or somebody asks it to stop."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.engine.divergence import NonFiniteError, first_non_finite
from bpcli.engine.state import network_state, restore, snapshot
from bpcli.family import HOOKS, Array, Callback
from bpcli.numeric.order import row_order
from bpcli.numeric.streams import Stream
from bpcli.records.printable import shell_word
from bpcli.records.training import Failure, Problem, TrainReport
from bpcli.studies.custom.load import loaded_callbacks, with_options
from bpcli.studies.run.callbacks import DEFAULT_CALLBACKS
from bpcli.studies.run.early_stopping import EarlyStopper
from bpcli.studies.run.lock import Lock
from bpcli.studies.run.saving.retry import SAVING_ERRORS
from bpcli.studies.run.saving.saver import Saver
from bpcli.studies.run.scoring import direction_of, evaluate_split
from bpcli.studies.run.signals import StopSignals
from bpcli.studies.run.state import EpochSums, TrainingState

MAX_TRIED_ROWS = 32
"""Rows on which the weights are tried after each epoch."""
NO_HOOKS = tuple(getattr(Callback, name) for name in HOOKS)
"""Hooks that do nothing: whoever calls one learns nothing of the disk."""


class Trainer:
    """One training in a run folder, of the `state` that it starts from. `run` carries it to its end; `finished` says
    that it had come to it before, with the weights of epoch `kept`."""

    def __init__(
        self,
        state: TrainingState,
        callbacks: Iterable[Callback] = (),
        lock: Lock | None = None,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        """`lock` is released when `run` ends; `record` is what run.json says. A training without one leaves nothing but
        the weights in memory, calls no callbacks but those it is given, and never touches its folder."""
        self.state, self.lock = state, lock
        self.saver = None if record is None else Saver(state, record, self.warn)
        self._default = tuple(make() for make in DEFAULT_CALLBACKS) if self.saver is not None else ()
        own = [make() for make in loaded_callbacks()] if self.saver is not None else []
        self.callbacks: Sequence[Callback] = (*self._default, *callbacks, *own)
        early = state.experiment.training.early_stopping
        self.early_stopper = None if early is None else EarlyStopper(early, state)
        self.warnings: tuple[Problem, ...] = state.setup.warnings
        self.finished, self.kept = False, 0
        self._order = None if state.schedule is None else Stream(state.experiment.seed, "order")
        self._signals = StopSignals()
        self._begun: list[Callback] = []

    def run(self) -> TrainReport:
        """Trains to the end, writes the model, and says how it went. Raises Failure where it cannot write."""
        report: TrainReport | None = None
        try:
            if self.finished:
                stopped, reason = self.over() or ("epochs", "")
                return self._report(stopped, f"this run was finished before: {reason}", None, self.kept)
            if self.saver is not None:
                self.saver.save_first_checkpoint()
            for callback in self.callbacks:
                self._call(callback, callback.on_train_begin)
                self._begun.append(callback)
            with self._signals:
                report = self._train()
            return report
        finally:
            with ExitStack() as each:  # whatever another one raises
                if self.lock is not None:
                    each.callback(self.lock.release)
                for callback in reversed(self._begun):
                    each.callback(self._call, callback, callback.on_train_end, report, saved=True)

    def _train(self) -> TrainReport:
        """Trains epoch after epoch, until training is over."""
        p, problem = self.state.progress, None
        try:
            while (end := self.over()) is None:
                if not self._epoch():
                    done = f"{p.batch} of {self.state.steps_per_epoch} batches"
                    end = "signal", f"stopped by {self._signals.name} in epoch {p.epoch + 1}, after {done}"
                    break
        except NonFiniteError as error:
            restore(network_state(self.state.objective.network), self.state.epoch_weights)
            problem = divergence(self.state, error)
            end = "diverged", problem.text
        return self._finish(*end, problem)

    def _epoch(self) -> bool:
        """Returns the rest of an epoch; False where a signal asked to stop."""
        s, p = self.state, self.state.progress
        order = row_order(self._order, s.train.x, p.epoch + 1)
        began = time.perf_counter()
        with np.errstate(all="ignore"):  # what overflows is found by the step, and named
            while p.batch < s.steps_per_epoch:
                self._step(order[p.batch * s.batch_size : (p.batch + 1) * s.batch_size])
                if self._signals.number or (self.saver is not None and self.saver.due):
                    s.check_memory()
                    p.sums.seconds += time.perf_counter() - began
                    if self._signals.number:
                        return False
                    self._checkpoint()
                    began = time.perf_counter()
            p.sums.seconds += time.perf_counter() - began
            self._close_epoch()
        if self.saver is not None and self.saver.due_after_epoch:
            self._checkpoint()
        return True

    def _step(self, rows: Array) -> None:
        """Takes one step on these rows of the training data."""
        s, p, train_step = self.state, self.state.progress, self.state.train_step
        batch = s.objective.batch(len(rows))
        batch.load(s.train.x, s.train.t, rows, s.train.w)
        if s.augmenter is not None:
            s.augmenter.apply(batch.x, p.step)
        watch = s.layer_watch if s.layer_watch is not None and p.batch == s.layer_watch.place else None
        if watch is not None:
            watch.before_step()
        train_step.step(batch, p.step)
        if watch is not None:
            p.sums.watch = watch.after_step(batch, p.step)
        if s.train_metrics is not None:
            s.train_metrics.add_batch(s.objective, batch, None if s.train.w is None else s.train.w[rows])
        p.sums.add(train_step, batch.weight())
        p.ended = train_step.ended
        p.step += 1
        p.batch += 1
        for callback in self.callbacks:
            self._call(callback, callback.on_batch_end, train_step.loss)

    def _close_epoch(self) -> None:
        """Does what follows the last step of an epoch: its figures, early stopping, the schedule's turn, the
        callbacks."""
        s, p, sums = self.state, self.state.progress, self.state.progress.sums
        began = time.perf_counter()
        self._try_weights()
        figures = {"train.loss": sums.loss / sums.weight}
        if s.train_metrics is not None:
            figures |= {f"train.{k}": v for k, v in s.train_metrics.results().items()}
        if s.validation is not None:
            rows, metrics = s.validation, tuple(s.metrics.values())
            found = evaluate_split(s.objective, s.predictor, metrics, rows.x, rows.t, weight=rows.w)
            figures |= {f"validation.{k}": v for k, v in found.items()}
        p.epoch, p.batch = p.epoch + 1, 0
        best = self.early_stopper is not None and self.early_stopper.improved(figures)
        if s.schedule is not None and (metric := s.schedule.watched()):
            s.schedule.observe(s.train_step.schedule_state, figures[metric], direction_of(s.metrics, metric) == "lower")
        sums.seconds += time.perf_counter() - began
        p.seconds += sums.seconds
        row = sums.row(p.epoch, figures, best=best)
        p.sums, s.train_metrics = EpochSums(), s.new_accumulator()
        s.history.append(row)
        s.epoch_weights = snapshot(network_state(s.objective.network))
        if self.saver is not None:
            self.saver.save_first_model()
        for callback in self.callbacks:
            self._call(callback, callback.on_epoch_end, row)

    def _try_weights(self) -> None:
        """Tries the weights after an epoch, though no step is taken with them. Raises NonFiniteError, as a step does,
        where they cannot be used, or where something else that lives from step to step is not finite."""
        s = self.state
        s.check_memory()
        rows = np.arange(min(MAX_TRIED_ROWS, s.batch_size))
        batch = s.objective.batch(len(rows))
        batch.load(s.train.x, s.train.t, rows, s.train.w)
        loss = batch.forward(False)
        if not math.isfinite(loss):
            raise first_non_finite(s.objective, batch, loss, 0.0, {}, {})

    def over(self) -> tuple[str, str] | None:
        """Returns why training is over, if it is: the kind of end, and a sentence."""
        p, training = self.state.progress, self.state.experiment.training
        if self.state.history and not p.batch:
            figures, goal = self.state.history[-1].metrics, training.stop_when
            if goal is not None and goal.reached(figures.get(goal.metric, math.nan)):
                return "goal", f"{goal.metric} reached its goal: {figures[goal.metric]:.6g}, {goal.goal}"
            if self.early_stopper is not None and (reason := self.early_stopper.reason()):
                return "patience", reason
            if p.ended:
                return "converged", f"converged: {p.ended}"
        if p.epoch > training.epochs:
            return "epochs", f"{p.epoch} epochs are done, and {training.epochs} were asked for"
        return ("epochs", f"all {training.epochs} epochs are done") if p.epoch == training.epochs else None

    def warn(self, problem: Problem) -> None:
        """Adds a warning to the report, and hands it to the callbacks at once."""
        self.warnings = (*self.warnings, problem)
        for callback in self._begun:
            self._call(callback, callback.on_warning, problem, saved=True)

    def _checkpoint(self) -> None:
        """Writes a checkpoint, if it can be written."""
        assert self.saver is not None
        if (file := self.saver.save()) is not None:
            self._on_checkpoint(file)

    def _on_checkpoint(self, file: Path) -> None:
        for callback in self.callbacks:
            self._call(callback, callback.on_checkpoint, file)

    def _call(self, callback: Callback, hook: Callable[..., None], *figures: object, saved: bool = False) -> None:
        """Calls a hook of a callback, if it does something. Where it raises, what was trained until then is kept in a
        checkpoint, unless that is `saved`; one that every training has may fail to write."""
        if getattr(hook, "__func__", None) in NO_HOOKS:
            return
        try:
            if self.saver is not None and callback in self._default:
                self.saver.log(lambda: hook(self.state, *figures))
            else:
                hook(self.state, *figures)
        except Exception as error:
            if self.saver is None:
                raise
            with suppress(*SAVING_ERRORS):  # of a full disk, where the hook's own error says more
                if self.state.progress.step and not saved:
                    self.saver.checkpoint()
            command = f"bpcli train --resume {shell_word(self.state.folder.path)}"
            again = " ".join(filter(None, (command, with_options())))
            error.add_note(f"what was trained until then is kept: mend it and type {again}")
            raise

    def _finish(self, stopped: str, reason: str, problem: Problem | None) -> TrainReport:
        """Writes the last checkpoint, the model and the record, and puts the best weights back."""
        s, network = self.state, self.state.objective.network
        kept, weights = (s.progress.epoch, network_state(network)) if stopped == "signal" else s.best_so_far()
        checkpoint: Path | None = None
        if self.saver is not None:
            try:
                checkpoint = self.saver.finish(stopped, reason, kept, weights)
            except Failure as failure:
                diverged = () if problem is None else (problem,)
                raise Failure(*diverged, *failure.problems, exit=failure.exit) from None
        restore(network_state(network), weights)
        if checkpoint is not None:
            self._on_checkpoint(checkpoint)
        return self._report(stopped, reason, problem, kept)

    def _report(self, stopped: str, reason: str, problem: Problem | None, kept: int) -> TrainReport:
        s = self.state
        rows = {split.name: len(split.x) for split in s.setup.prepared.splits.values()}
        return TrainReport(
            run=str(s.folder.path), name=s.experiment.name, epochs=s.history, stopped=stopped, reason=reason,
            best_epoch=kept, parameters=s.setup.network_plan.size, rows=rows,
            seconds=s.progress.seconds + s.progress.sums.seconds, model=str(s.folder.model), problem=problem,
            signal=self._signals.number if stopped == "signal" else 0, warnings=self.warnings,
        )  # fmt: skip


def divergence(state: TrainingState, error: NonFiniteError) -> Problem:
    """Returns what to say of a training that came upon a number that is not finite, and what to change."""
    p, experiment = state.progress, state.experiment
    where = f"{error.layer}.{error.tensor}" if error.layer else error.tensor
    text = (
        f"training diverged in epoch {p.epoch + 1}, batch {min(p.batch + 1, state.steps_per_epoch)} of "
        f"{state.steps_per_epoch}: {where} ({error.what}) is not finite"
    )
    if not p.step or state.schedule is None:
        help = "" if p.step else "no step was taken: "
        help += "start from smaller weights (`init`), or scale the data (`scale: standardize`)"
        return Problem(text, code="diverged", help=help)
    help = f"lower optimizer.learning_rate (it was {state.train_step.rate or state.train_step.rate_at(0):g})"
    if experiment.clipping is None:
        help += ", or add clipping: {type: global_norm, max_norm: 1.0}"
    return Problem(text, code="diverged", help=help)
