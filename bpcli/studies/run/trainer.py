"""Training: the seven-step algorithm, epoch after epoch, until it has run its course, a goal is reached, nothing
improves any more, a number stops being one, or somebody asks it to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bpcli.config.experiment import label
from bpcli.engine.full_batch import make_stepper
from bpcli.engine.objective import Objective
from bpcli.engine.step import NonFiniteError, culprit
from bpcli.family import GradientOptimizer
from bpcli.family.plan import Array
from bpcli.numeric.order import row_order
from bpcli.numeric.streams import Stream
from bpcli.records.training import EpochRow, Failure, Problem, TrainReport
from bpcli.studies.custom.load import files_record_by_name
from bpcli.studies.run import model
from bpcli.studies.run.layer_stats_watch import LayerStatsWatch
from bpcli.studies.run.lock import Lock
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.scoring import MetricAccumulator, Predictor, better, evaluate_split
from bpcli.studies.run.setup import Setup
from bpcli.studies.run.signals import Signals

CHECKPOINT_SECONDS = 30.0
"""At most so much work is lost when the machine fails; a signal saves at once."""

PROBED = 32  # rows that tell, after each epoch, whether the weights can be used


class Callback:
    """Is told how a training goes. The base class does nothing with it."""

    def started(self, run: Trainer) -> None:
        """Before the first step."""

    def stepped(self, done: int, of: int, loss: float) -> None:
        """After each step: steps done in this epoch, of how many, and the loss of its batch."""

    def epoch(self, row: EpochRow) -> None:
        """After each epoch."""


@dataclass
class Sums:
    """What is added up over the steps of one epoch."""

    loss: float = 0.0
    penalty: float = 0.0
    norm: float = 0.0
    factor: float = 0.0
    rate: float = 0.0  # of the last step
    clipped: int = 0
    steps: int = 0
    weight: float = 0.0  # of the rows: their number, or their class weights
    seconds: float = 0.0
    watch: dict[str, float] = field(default_factory=dict)  # of the one step that is measured


@dataclass
class Progress:
    """Where a training stands; all of it goes into a checkpoint."""

    epoch: int = 0  # completed
    step: int = 0  # completed, over all epochs
    batch: int = 0  # completed in this epoch
    best: float = math.nan
    best_epoch: int = 0
    bad_epochs: int = 0
    seconds: float = 0.0
    ended: str = ""  # why the optimizer has nothing left to do
    sums: Sums = field(default_factory=Sums)


class Trainer:
    """One training in a run folder. `run` carries it to its end; `finished` says that it had come to it before, with
    the weights of epoch `kept`."""

    def __init__(
        self,
        setup: Setup,
        folder: RunFolder,
        watcher: Callback | None = None,
        total: int | None = None,
        lock: Lock | None = None,
    ) -> None:
        """`total` is how many steps schedules run over; `lock` is released when `run` ends."""
        experiment = setup.experiment
        self.setup, self.folder, self.watcher, self.lock = setup, folder, watcher or Callback(), lock
        self.experiment = experiment
        self.train = setup.prepared.splits["train"]
        self.validation = setup.prepared.splits.get("validation")
        self.size, self.steps_per_epoch = setup.batch_size, setup.steps_per_epoch
        total = experiment.training.epochs * self.steps_per_epoch if total is None else total
        dtype = np.dtype(experiment.dtype)
        self.objective = Objective(setup.network_plan, experiment.loss, self.size, dtype, experiment.seed)
        self.stepper = make_stepper(
            self.objective,
            experiment.optimizer,
            experiment.clipping,
            total,
            epoch=self.steps_per_epoch,
            constraint=experiment.constraint,
        )
        self.schedule = (
            experiment.optimizer.learning_rate if isinstance(experiment.optimizer, GradientOptimizer) else None
        )
        self.augmenter = setup.augmenter()
        self.predictor = Predictor(experiment.loss, setup.prepared.preprocessor, setup.network_plan.y[0])
        self.metrics = {label(m): m for m in experiment.metrics}
        watched = experiment.training.watch
        self.layers = LayerStatsWatch(self.objective, len(self.train.x), self.size) if watched else None
        self.progress = Progress()
        self.history: list[EpochRow] = []
        self.warnings: tuple[Problem, ...] = setup.warnings
        self.train_metrics = self._new_accumulator()
        self._order = Stream(experiment.seed, "order")
        self._best: dict[str, Array] = {}
        self._good = self._weights()
        self._saved_at = time.monotonic()
        self._signals = Signals()
        self.finished, self.kept = False, 0

    # ------------------------------------------------------------------------------------------------- the whole of it
    def run(self) -> TrainReport:
        """Trains to the end, writes the model, and says how it went. Raises Failure where it cannot write."""
        try:
            if self.finished:
                stopped, reason = self.over() or ("epochs", "")
                return self._report(stopped, f"this run was finished before: {reason}", None, self.kept)
            self.watcher.started(self)
            with self._signals:
                return self._run()
        finally:
            if self.lock is not None:
                self.lock.release()

    def _run(self) -> TrainReport:
        p, problem = self.progress, None
        try:
            while (end := self.over()) is None:
                if not self._epoch():
                    done = f"{p.batch} of {self.steps_per_epoch} batches"
                    end = "signal", f"stopped by {self._signals.name} in epoch {p.epoch + 1}, after {done}"
                    break
        except NonFiniteError as error:
            problem = self._diverged(error)
            end = "diverged", problem.text
        return self._finish(*end, problem)

    def _epoch(self) -> bool:
        """The rest of an epoch; False where a signal asked to stop."""
        p = self.progress
        order = row_order(None if self.schedule is None else self._order, self.train.x, p.epoch + 1)
        began = time.perf_counter()
        with np.errstate(all="ignore"):  # what overflows is found by the step, and named
            while p.batch < self.steps_per_epoch:
                rows = order[p.batch * self.size : (p.batch + 1) * self.size]
                self._step(rows)
                if self._signals.number or time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
                    p.sums.seconds += time.perf_counter() - began
                    if self._signals.number:
                        return False
                    self._checkpoint()
                    began = time.perf_counter()
            p.sums.seconds += time.perf_counter() - began
            self._close_epoch()
        return True

    def _step(self, rows: Array) -> None:
        p, d = self.progress, self.stepper
        batch = self.objective.batch(len(rows))
        batch.load(self.train.x, self.train.t, rows, self.train.w)
        if self.augmenter is not None:
            self.augmenter.apply(batch.x, p.step)
        if self.layers is not None and p.batch == self.layers.place:
            self.layers.begin()
            d.step(batch, p.step)
            p.sums.watch = self.layers.figures(batch, p.step)
        else:
            d.step(batch, p.step)
        if self.train_metrics is not None:
            self.train_metrics.add(batch.chain.y, batch.t, None if self.train.w is None else self.train.w[rows])
        s = p.sums
        weight = batch.weight()
        s.loss += d.loss * weight
        s.weight += weight
        s.penalty += d.penalty
        s.norm += d.norm
        s.factor += d.factor
        s.rate = d.rate
        s.clipped += d.factor < 1
        s.steps += 1
        p.ended = d.ended
        p.step += 1
        p.batch += 1
        self.watcher.stepped(p.batch, self.steps_per_epoch, d.loss)

    def _close_epoch(self) -> None:
        p, s = self.progress, self.progress.sums
        began = time.perf_counter()
        self._probe()
        figures = {"train.loss": s.loss / s.weight}
        if self.train_metrics is not None:
            figures |= {f"train.{k}": v for k, v in self.train_metrics.results().items()}
        if self.validation is not None:
            rows, metrics = self.validation, tuple(self.metrics.values())
            found = evaluate_split(self.objective, self.predictor, metrics, rows.x, rows.t, weight=rows.w)
            figures |= {f"validation.{k}": v for k, v in found.items()}
        p.epoch, p.batch = p.epoch + 1, 0
        improved = self._watch(figures)
        self._tell_schedule(figures)
        s.seconds += time.perf_counter() - began
        p.seconds += s.seconds
        row = EpochRow(
            epoch=p.epoch,
            metrics=figures,
            penalty=s.penalty / s.steps,
            gradient_norm=s.norm / s.steps,
            clipped=s.clipped / s.steps,
            clip_factor=s.factor / s.steps,
            learning_rate=s.rate,
            steps=s.steps,
            seconds=s.seconds,
            best=improved,
            watch=s.watch,
        )
        p.sums = Sums()
        self.train_metrics = self._new_accumulator()
        self.history.append(row)
        self._good = self._weights()
        self.folder.append_epoch(row)
        self.watcher.epoch(row)

    def _probe(self) -> None:
        """Whether the weights can be used, though no step is taken with them. Raises NonFiniteError, as a step does."""
        rows = np.arange(min(PROBED, self.size))
        batch = self.objective.batch(len(rows))
        batch.load(self.train.x, self.train.t, rows, self.train.w)
        loss = batch.forward(False)
        if not math.isfinite(loss) or not np.isfinite(self.objective.theta).all():
            raise culprit(self.objective, batch, loss, 0.0)

    # --------------------------------------------------------------------------------------------------- when to stop
    def _watch(self, figures: Mapping[str, float]) -> bool:
        """Counts epochs without improvement, keeps the best weights; whether this epoch was the best so far."""
        early = self.experiment.training.early_stopping
        if early is None:
            return False
        p, value = self.progress, figures[early.metric]
        lower = (early.mode or {"lower": "min", "higher": "max"}[better(self.metrics, early.metric)]) == "min"
        gain = (p.best - value) if lower else (value - p.best)
        if math.isfinite(value) and (math.isnan(p.best) or gain > early.min_delta):
            p.best, p.best_epoch, p.bad_epochs = value, p.epoch, 0
            if early.restore_best:
                self._best = self._weights()
            return True
        p.bad_epochs += 1
        return False

    def _tell_schedule(self, figures: Mapping[str, float]) -> None:
        """Tells the schedule of the learning rate the figure that it watches, if it does."""
        if self.schedule is not None and (metric := self.schedule.watched()):
            lower = better(self.metrics, metric) == "lower"
            self.schedule.observe(self.stepper.schedule_state, figures[metric], lower)

    def over(self) -> tuple[str, str] | None:
        """Why training is over, if it is: the kind of end, and a sentence."""
        p, training = self.progress, self.experiment.training
        if self.history and not p.batch:
            figures, goal, early = self.history[-1].metrics, training.stop_when, training.early_stopping
            if goal is not None and goal.reached(figures[goal.metric]):
                return "goal", f"{goal.metric} reached its goal: {figures[goal.metric]:.6g}, {goal.goal}"
            if early is not None and p.bad_epochs >= early.patience:
                text = f"{early.metric} has not improved for {early.patience} epochs"
                best = f"best {p.best:.6g} in epoch {p.best_epoch}" if p.best_epoch else "it never was a finite number"
                return "patience", f"{text}; {best}"
            if p.ended:
                return "converged", f"converged: {p.ended}"
        return ("epochs", f"all {training.epochs} epochs are done") if p.epoch >= training.epochs else None

    def _diverged(self, error: NonFiniteError) -> Problem:
        p = self.progress
        where = f"{error.layer}.{error.tensor}" if error.layer else error.tensor
        text = (
            f"training diverged in epoch {p.epoch + 1}, batch {min(p.batch + 1, self.steps_per_epoch)} of "
            f"{self.steps_per_epoch}: {where} ({error.what}) is not finite"
        )
        self._restore(self._good)
        if self.schedule is None:
            help = "no step was taken: start from smaller weights (`init`), or scale the data (`scale: standardize`)"
            return Problem(text, code="diverged", help=help)
        rate = self.stepper.rate or self.stepper.rate_at(0)
        help = f"lower optimizer.learning_rate (it was {rate:g})"
        if self.experiment.clipping is None:
            help += ", or add clipping: {type: global_norm, max_norm: 1.0}"
        return Problem(text, code="diverged", help=help)

    # --------------------------------------------------------------------------------------------- saving and going on
    def _finish(self, stopped: str, reason: str, problem: Problem | None) -> TrainReport:
        p, early = self.progress, self.experiment.training.early_stopping
        if stopped != "diverged":
            self._checkpoint()
        kept = p.epoch
        if early is not None and early.restore_best and self._best and stopped != "signal":
            self._restore(self._best)
            kept = p.best_epoch
        last = next((r for r in self.history if r.epoch == kept), None)
        figures = dict(last.metrics) if last else {}
        meta = {"epoch": kept, "stopped": stopped, "metrics": figures, **files_record_by_name()}
        model.save(self.folder.model, self.experiment, self.setup.prepared.preprocessor, self.objective, meta)
        record = {"status": stopped, "reason": reason, "epochs": p.epoch, "kept": kept}
        self.folder.write_record(self.folder.record() | record)
        return self._report(stopped, reason, problem, kept)

    def _report(self, stopped: str, reason: str, problem: Problem | None, kept: int) -> TrainReport:
        return TrainReport(
            run=str(self.folder.path),
            name=self.experiment.name,
            epochs=tuple(self.history),
            stopped=stopped,
            reason=reason,
            best_epoch=kept,
            parameters=self.setup.network_plan.size,
            rows={s.name: len(s.x) for s in self.setup.prepared.splits.values()},
            seconds=self.progress.seconds + self.progress.sums.seconds,
            model=str(self.folder.model),
            problem=problem,
            signal=self._signals.number if stopped == "signal" else 0,
            warnings=self.warnings,
        )

    def _checkpoint(self) -> None:
        """Everything that training goes on from, so that a run resumed is the run uninterrupted."""
        p = self.progress
        tensors = {"theta": self.objective.theta, **_prefixed("state", self.objective.network.states)}
        tensors |= _prefixed("slot", self.stepper.slots) | _prefixed("clip", self.stepper.clip_state)
        tensors |= _prefixed("schedule", self.stepper.schedule_state) | _prefixed("best", self._best)
        if p.batch:
            tensors |= _prefixed("good", self._good)
        if self.train_metrics is not None:
            tensors |= _prefixed("tally", self.train_metrics.arrays())
        sums = dict(vars(p.sums))
        meta = {"kind": "checkpoint", "progress": {**vars(p), "sums": sums}}
        self.folder.save_checkpoint(p.step, tensors, meta)
        self._saved_at = time.monotonic()

    def load_checkpoint(self, tensors: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
        """Puts everything back. Raises Failure where the checkpoint is of another network."""
        try:
            self.objective.theta[...] = tensors["theta"]
            for prefix, arrays in (
                ("state", self.objective.network.states),
                ("slot", self.stepper.slots),
                ("clip", self.stepper.clip_state),
                ("schedule", self.stepper.schedule_state),
            ):
                for name, array in arrays.items():
                    array[...] = tensors[f"{prefix}.{name}"]
            if self.train_metrics is not None:
                self.train_metrics.restore({n[6:]: a for n, a in tensors.items() if n.startswith("tally.")})
            progress = dict(meta["progress"])
            self.progress = Progress(**{**progress, "sums": Sums(**progress["sums"])})
        except (KeyError, TypeError, ValueError) as error:
            text = f"the checkpoint does not fit this experiment: {error}"
            raise Failure(Problem(text, code="bad-checkpoint", help="train anew: bpcli train CONFIG")) from None
        self._best, good = ({n[5:]: a for n, a in tensors.items() if n.startswith(p)} for p in ("best.", "good."))
        self._good = good or self._weights()

    def _weights(self) -> dict[str, Array]:
        states = self.objective.network.states
        return {"theta": self.objective.theta.copy(), **{f"state.{n}": a.copy() for n, a in states.items()}}

    def _restore(self, weights: Mapping[str, Array]) -> None:
        self.objective.theta[...] = weights["theta"]
        for name, state in self.objective.network.states.items():
            state[...] = weights[f"state.{name}"]

    def _new_accumulator(self) -> MetricAccumulator | None:
        """Metrics of the training rows as they are seen: where there is no validation, or something watches them."""
        training = self.experiment.training
        watched = [w.metric for w in (training.early_stopping, training.stop_when) if w is not None]
        watched += [self.schedule.watched()] if self.schedule is not None else []
        wanted = self.validation is None or any(w.startswith("train.") and w != "train.loss" for w in watched)
        return MetricAccumulator(self.predictor, tuple(self.metrics.values())) if wanted and self.metrics else None


def _prefixed(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {f"{prefix}.{name}": array for name, array in arrays.items()}
