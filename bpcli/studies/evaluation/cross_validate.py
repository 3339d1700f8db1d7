"""Cross-validation: the rows in k parts, each of them test once, for networks that learned from the others."""

import hashlib
import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bpcli.config.yamlfile import MAX_BYTES, parse
from bpcli.family import Callback
from bpcli.records.plain import plain
from bpcli.records.printable import shell_word
from bpcli.records.training import EvalReport, Exit, Failure, FoldRow, FoldsReport, Problem, Spread, TrainReport
from bpcli.studies.evaluation.evaluate import EvaluationRows, score
from bpcli.studies.run import resume as runs
from bpcli.studies.run.atomic import atomic_text
from bpcli.studies.run.fingerprints import sha256_of
from bpcli.studies.run.lock import Lock
from bpcli.studies.run.model import load
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving.new_folder import create_folder
from bpcli.studies.run.saving.retry import SAVING_ERRORS, saving_failure
from bpcli.studies.run.saving.second_place import failed_twice, keep_record
from bpcli.studies.run.saving.stored import FoldsRecord, read_record
from bpcli.studies.run.setup import Setup, load_document, set_up
from bpcli.studies.run.trainer import Trainer

RECORD_FILE = "folds.json"

FoldCallbacks = Callable[[int, int], Iterable[Callback]]
"""What makes the callbacks of a fold, from its number (from 1) and how many folds there are."""


class CrossValidation:
    """A cross-validation in a folder: `folds.json`, the config, and a run folder for each fold. `run` carries it to its
    end, or to where a signal or a divergence stops it; what is finished is not trained again."""

    def __init__(self, folder: Path, config: Path, root: Path, sets: tuple[str, ...], count: int) -> None:
        self.folder, self.config, self.root, self.sets, self.count = folder, config, root, sets, count
        self.warnings: tuple[Problem, ...] = ()
        self.remark = ""

    def run(
        self,
        callbacks: FoldCallbacks = lambda number, of: (),
        on_fold_end: Callable[[FoldRow], None] = lambda row: None,
    ) -> FoldsReport:
        """Trains and evaluates one fold after another; `on_fold_end` is called with each. Raises Failure where one
        cannot be trained, and where another process works on them."""
        lock, rows = Lock(self.folder), list[FoldRow]()
        try:
            RunFolder(self.folder).remove_temporaries()
            self._began = _new_record(self.config.read_bytes(), self.root, self.sets, self.count)
            for number in range(1, self.count + 1):
                trainer = self._trainer(number, callbacks(number, self.count))
                self._add_warnings(trainer.warnings)
                report = trainer.run()
                self._add_warnings(report.warnings)
                if report.stopped in ("signal", "diverged"):
                    return self._report(report, rows, number)
                rows.append(_evaluated(number, report, trainer.state.setup))
                on_fold_end(rows[-1])
            return self._report(None, rows, 0)
        finally:
            lock.release()

    def _add_warnings(self, warnings: Iterable[Problem]) -> None:
        known = {w.text for w in self.warnings}
        self.warnings = (*self.warnings, *(w for w in warnings if w.text not in known))

    def _trainer(self, number: int, callbacks: Iterable[Callback]) -> Trainer:
        folder = self.folder / f"fold-{number}"
        if (folder / "run.json").exists():
            return runs.resume(folder, (), callbacks)
        setup = set_up(self.config, (*self.sets, fold_setting(number, self.count)), self.root)
        return runs.start(setup, folder, callbacks)

    def _report(self, last: TrainReport | None, rows: Sequence[FoldRow], stopped: int) -> FoldsReport:
        """Returns the report, which is also written down."""
        report = FoldsReport(
            run=str(self.folder),
            name=rows[0].name if rows else last.name if last else "",
            count=self.count,
            folds=tuple(rows),
            metrics=spread_by_figure(rows) if rows else {},
            stopped="" if last is None else f"fold {stopped}: {last.reason}",
            problem=None if last is None else last.problem,
            signal=0 if last is None else last.signal,
            warnings=self.warnings,
        )
        folds = [
            {"fold": r.number, "run": r.run, "epochs": r.epochs, "rows": r.rows, "metrics": r.metrics} for r in rows
        ]
        figures = {name: vars(s) for name, s in report.metrics.items()}
        status = "finished" if last is None else last.stopped
        record = self._began | {"status": status, "results": folds, "metrics": figures}
        text = json.dumps(plain(record), indent=2, ensure_ascii=False, default=str) + "\n"
        try:
            atomic_text(self.folder / RECORD_FILE, text, follow=False)
        except SAVING_ERRORS as error:
            raise self._kept_elsewhere(saving_failure(error), text) from None
        return report

    def _kept_elsewhere(self, failure: Failure, text: str) -> Failure:
        """Keeps the record in the user's cache folder. Returns the failure with where it is, and what to type."""
        (problem, *others), folder = failure.problems, shell_word(self.folder)
        again = f"once {folder} can be written, `bpcli train --resume {folder}` writes them there"
        try:
            file = keep_record(self.folder, RECORD_FILE, text)
        except SAVING_ERRORS as error:
            return failed_twice(problem, others, saving_failure(error), again)
        help = f"the figures are kept in {shell_word(file)}; {again}"
        return Failure(replace(problem, help=help), *others, exit=Exit.IO_ERROR)


def start(config: Path, sets: tuple[str, ...], count: int, out: Path | None = None) -> CrossValidation:
    """Returns a cross-validation in a new folder, `out` or one named by the time. Raises Failure where the experiment
    does not fit together or says itself which rows are test, and where the folder cannot be made."""
    document, experiment = load_document(config, sets)
    if experiment.data.fold is not None:
        text = "data.fold asks for one fold, and --folds for all of them"
        raise Failure(document.problem(("data", "fold"), text, code="fold", help="leave one of them out"))
    remark = ""
    if experiment.data.test is not None:
        sets = (*sets, "data.test=null")
        remark = "each fold is test in its turn: data.test is left out"
    setup = set_up(config, (*sets, fold_setting(1, count)))  # what does not fit is said before a folder is made
    text = setup.document.source.text
    named = "name" in parse(text, str(config)).data
    name = () if named else (f"name={json.dumps(experiment.name)}",)
    sets = (*sets, *name)
    record = json.dumps(_new_record(text.encode(), config.parent, sets, count), indent=2, ensure_ascii=False) + "\n"
    files = {"config.yaml": text.encode(), RECORD_FILE: record.encode("utf-8", "backslashreplace")}
    with create_folder(f"{experiment.name}-folds", out, files) as (folder, lock):
        lock.release()  # `run` takes it again
    found = CrossValidation(folder, folder / "config.yaml", config.parent, sets, count)
    found.remark = remark
    return found


def _new_record(config: bytes, root: Path, sets: Sequence[str], count: int) -> dict[str, Any]:
    """Returns the first lines of folds.json."""
    return {
        "folds": count,
        "status": "running",
        "root": str(root.resolve()),
        "sets": list(sets),
        "config": hashlib.sha256(config).hexdigest(),
    }


def resume(folder: Path) -> CrossValidation:
    """Returns a cross-validation that goes on. Raises Failure where its record is damaged, or its config has
    changed."""
    help = "start anew: bpcli train CONFIG --folds K"
    record, _ = read_record(folder / RECORD_FILE, FoldsRecord, "how the folds began", help)
    found = CrossValidation(folder, folder / "config.yaml", Path(record.root), tuple(record.sets), record.folds)
    if sha256_of(found.config, MAX_BYTES) != record.config:
        text = f"{found.config} has changed since the folds began"
        raise Failure(Problem(text, code="changed", help="restore the file, or start anew"))
    return found


def fold_setting(number: int, count: int) -> str:
    """Returns the setting that makes one fold of an experiment."""
    return f"data.fold={{of: {count}, number: {number}}}"


def spread_by_figure(rows: Sequence[FoldRow]) -> dict[str, Spread]:
    """Returns the mean and the spread of each figure over the folds."""
    return {name: _spread([r.metrics.get(name, math.nan) for r in rows]) for name in rows[0].metrics}


def _spread(values: Sequence[float]) -> Spread:
    if not all(map(math.isfinite, values)):
        return Spread(math.nan, math.nan, math.nan, math.nan)
    deviation = statistics.stdev(values) if len(values) > 1 else math.nan
    return Spread(statistics.fmean(values), deviation, min(values), max(values))


def _evaluated(number: int, report: TrainReport, setup: Setup) -> FoldRow:
    test = setup.prepared.splits["test"]
    model = load(RunFolder(Path(report.run)).path)
    found: EvalReport = score(EvaluationRows(**vars(test), model=model))
    figures = {"loss": found.loss, **found.metrics}
    return FoldRow(number, report.run, report.name, dict(report.rows), report.best_epoch, report.seconds, figures)
