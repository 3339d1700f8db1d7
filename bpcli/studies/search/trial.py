"""A trial: an experiment with some settings changed, trained once for each fold of the rows that are not test.

It is all that a search over settings needs to know: which settings go in, and which scores come out. A trial is plain
data, so that it can be sent to another process; it is a function of what it holds, whatever else is tried beside it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bpcli.config.data import Fold
from bpcli.config.document import Document
from bpcli.config.dump import flow
from bpcli.config.experiment import Experiment
from bpcli.config.yamlfile import parse
from bpcli.family import Callback
from bpcli.records.search import FoldScore
from bpcli.records.training import TrainReport
from bpcli.studies.dataset.prepare import Prepared
from bpcli.studies.run.model import dump
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.scoring import evaluate_split
from bpcli.studies.run.setup import Setup, fit_together, override, prepare_data
from bpcli.studies.run.state import TrainingState
from bpcli.studies.run.trainer import Trainer

MAX_BYTES_KEPT = 1 << 28
"""Bytes of encoded rows that are kept for the trials to come."""


class StoppedBySignalError(Exception):
    """A signal came while a trial was trained."""

    def __init__(self, report: TrainReport) -> None:
        super().__init__(report.reason)
        self.report = report


@dataclass(frozen=True)
class Trial:
    """An experiment, given by the text of its config, and the settings that are to be tried with it."""

    text: str
    file: str  # what messages call the config
    root: Path  # what its paths are relative to
    sets: tuple[str, ...] = ()  # as behind `--set`
    folds: int = 5

    def open(self) -> tuple[Document, Experiment]:
        """Returns the experiment with these settings. Raises Failure where they do not fit it."""
        return override(parse(self.text, self.file), self.sets)


class FoldCache:
    """The rows of folds, encoded once for all trials that encode them alike."""

    def __init__(self, max_bytes: int = MAX_BYTES_KEPT) -> None:
        self.max_bytes = max_bytes
        self._bytes = 0
        self._known: dict[str, Prepared] = {}

    def set_up(self, trial: Trial, number: int) -> Setup:
        """Returns a trial's experiment on its fold `number` (from 1). Raises Failure where it does not fit its data."""
        document, experiment = trial.open()
        fold = Fold(of=trial.folds, number=number)
        decides = (dump(experiment)["data"], experiment.seed, experiment.dtype, experiment.loss.targets)
        key = flow([str(trial.root), *decides, trial.folds, number])
        prepared = self._known.get(key)
        if prepared is None:
            prepared = prepare_data(document, experiment, trial.root, within=fold)
            size = sum(split.x.nbytes + split.t.nbytes for split in prepared.splits.values())
            if self._bytes + size <= self.max_bytes:
                self._known[key], self._bytes = prepared, self._bytes + size
        return fit_together(document, experiment, prepared, trial.root, trial.sets)


def run_fold(trial: Trial, number: int, cache: FoldCache, callbacks: Iterable[Callback] = ()) -> FoldScore:
    """Trains a trial without fold `number` (from 1) and returns its scores on it. Nothing is written. Raises Failure
    where the experiment does not fit its data, StoppedBySignalError, and whatever a callback raises."""
    setup = cache.set_up(trial, number)
    trainer = Trainer(TrainingState(setup, RunFolder(trial.root)), callbacks)
    report = trainer.run()
    if report.stopped == "signal":
        raise StoppedBySignalError(report)
    if report.stopped == "diverged":
        return FoldScore(number, {}, report.best_epoch, report.seconds, report.reason)
    state, rows = trainer.state, setup.prepared.splits["test"]
    metrics = tuple(state.metrics.values())
    figures = evaluate_split(state.objective, state.predictor, metrics, rows.x, rows.t, weight=rows.w)
    return FoldScore(number, figures, report.best_epoch, report.seconds)
