"""What in a table may spoil the judgement of a model: rows that belong together, a column that says which are test, an
input that gives the target away, rows in the order of time."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from bpcli.config.data import Data
from bpcli.config.dump import flow
from bpcli.family import Array, Table
from bpcli.records.training import Problem
from bpcli.studies.dataset.coded_columns import MAX_CLASSES, CodedColumn, some_rows
from bpcli.studies.dataset.split import split_name

MIN_GROUPS = 10  # different values of a column that may name who or what the rows are of
MIN_ROWS_OF_GROUP = 1.5  # rows of such a value, on average
MIN_PURE_GROUPS = 20  # different values of a column whose name says nothing, each of one class
MAX_ROWS_OF_GROUP = 50  # of such a value, on average
MIN_ATTRIBUTE_VALUES = 5  # different values of a column that groups share
MIN_ROWS = 40  # of fewer, no relation between columns is told from chance
GIVEN_AWAY = 0.995  # of the target's spread, or of the rows, that one input explains before it is named
TAILS = (0.01, 0.99)  # quantiles of a target beyond which its spread is not looked at
MIN_FILLED = 10  # rows with a value, and without, before gaps are held against classes
MORE_CODES = 8  # values that a column has beyond two for each class, at most, where it may be the class by other names
MIN_TIMES = 20  # different times, or dates that may be made of the target
MAX_FOLDS = 20
CLUSTERS_APART = 4.0  # gaps between the targets of different categories, over those within them, of which none is a bin
LOG_CHANCE = -14.0  # the logarithm of the chance, below which gaps are no accident
ENTITY = re.compile(
    r"(?:patient|subject|person|participant|user|customer|client|member|student|speaker|animal|device|household|"
    r"session|account|employee|player|donor|respondent)s?",
    re.I,
)
IDENTIFIER = re.compile(r"(?:.*[_\s.-])?(?i:id|uuid)(?:[_\s.-].*)?|.*[a-z](?:Id|ID)")
SPLIT_FLAG = re.compile(
    r"(?:is|in)[_\s.-]?(?:train|test|validation|holdout)(?:ing)?(?:[_\s.-]?(?:set|flag|split))?|"
    r"(?:train|test|validation|holdout)(?:ing)?[_\s.-]?(?:set|flag|split)", re.I,
)  # fmt: skip
"""Names of columns of yes and no that say of which split a row is: a bare `train` may be a means of transport."""

FOLD = re.compile(r"(?:k|cv|data)?[_\s.-]?(?:folds?|splits?)[_\s.-]?(?:id|idx|index|no|nr|number)?", re.I)
"""Names of columns that number the parts of a cross-validation."""

TIME = re.compile(r"(?:.*[_\s.])?(?:date|time|timestamp|datetime|day|year)", re.I)


@dataclass(frozen=True)
class Hazard:
    """Something that may make a model look better than it is: what was found, why it matters, the column to leave out
    (`drop`), or the setting of `data.split` that keeps it from doing harm."""

    code: str
    text: str
    why: str
    drop: str = ""
    split: tuple[str, str] = ("", "")
    by_class: bool = False  # nothing says so but that each group is of one class, as any good input may tell

    def advice(self, option: str) -> str:
        """Returns what was found, why it matters, and what to type, in a sentence: the `option` that leaves the column
        out, where that is the remedy, or the line to write."""
        typed = f"`{option}`, or write" if self.drop else "write"
        return f"{self.text}. {self.why[0].upper()}{self.why[1:]}: {typed} {self.remedy} {self.place}"

    @property
    def place(self) -> str:
        """Where in a config the line belongs."""
        if self.drop:
            return "under `data.train`"
        return "under `data`" + (" in place of `validation` and `test`" if self.split[0] == "column" else "")

    @property
    def remedy(self) -> str:
        """The line to write into a config."""
        key, column = self.split
        return f"`drop: {flow([self.drop])}`" if self.drop else f"`split: {flow({key: column})}`" if key else ""


def hazards(table: Table, inputs: Collection[str] | None = None) -> tuple[Hazard, ...]:
    """Returns what the columns of a table say, all its rows together: for warnings, which teach a model nothing. Of the
    columns only `inputs` (all) may give the target away; rows may belong together by others, too."""
    if not table.order or table.target is None or table.rows < MIN_ROWS:
        return ()
    rows = some_rows(table)
    columns = {name: CodedColumn.of(table, name, rows) for name in table.order}
    target = CodedColumn.of_target(table, rows)
    whole = [CodedColumn.of(table, c.name, slice(None)) for c in columns.values() if rows.step > 1 and _is_named(c)]
    candidates = {**columns, **{c.name: c for c in whole}}
    found = [*_split_names(table), *_groups(candidates, columns, target), *_times(columns)]
    if target is not None:
        known = {hazard.split[1] for hazard in found}
        same = [
            columns[h.split[1]] for h in found if h.code == "groups"
        ]  # what is so of all rows of one says who it is
        same = [c for c in same if len(c.codes) >= MIN_ROWS_OF_GROUP * c.count]
        known |= {c.name for c in columns.values() if any(group.fixes(c) for group in same)}
        known |= columns.keys() - set(columns if inputs is None else inputs)
        times = [columns[h.split[1]].codes for h in found if h.code == "time-order"]
        found += _copies({name: c for name, c in columns.items() if name not in known}, target, *times)
    return tuple(found)


def hazard_warnings(table: Table, data: Data) -> tuple[Problem, ...]:
    """Returns the hazards as warnings, but those that the experiment has met: its rows are divided by a column."""
    found = []
    for hazard in hazards(table):
        if hazard.split[0] and (data.split is not None or not _divides(data)):
            continue
        help = f"{hazard.why}: write {hazard.remedy} {hazard.place}"
        found.append(Problem(hazard.text, code=hazard.code, file=table.origin, help=help, level="warning"))
    return tuple(found)


def _divides(data: Data) -> bool:
    """Whether rows are divided by chance."""
    return data.fold is not None or any(isinstance(share, float) for share in (data.validation, data.test))


def _split_names(table: Table) -> list[Hazard]:
    found = []
    for name, text in table.texts.items():
        said = set(map(split_name, text.found))
        if "train" in said and len(said) > 1 and None not in said:
            names = " or ".join(f"`{cell}`" for cell in text.found)
            text_ = f"column `{name}` says {names} in every row"
            why = "rows divided by chance are others than those that were meant"
            found.append(Hazard("split-column", text_, why, split=("column", name)))
    for name in table.order if not found else ():
        if name in table.at and SPLIT_FLAG.fullmatch(name.strip()) and _is_flag(table.numbers[:, table.at[name]]):
            text_ = f"column `{name}` says which rows are to teach, and is an input"
            why = "of rows to come it says nothing, and rows are divided by a column of the words train and test alone"
            found.append(Hazard("split-column", text_, why, drop=name))
    for name in table.order if not found else ():
        if FOLD.fullmatch(name.strip()) and _are_folds(CodedColumn.of(table, name, slice(None))):
            text_ = f"column `{name}` seems to say in which fold a row is, and is an input"
            found.append(Hazard("split-column", text_, "of rows to come it says nothing", drop=name))
    return found[:1]


def _are_folds(column: CodedColumn) -> bool:
    """Whether a column has a value in every row, few of them that follow each other, in about as many rows each."""
    sizes = np.bincount(column.codes[~column.gaps])
    if column.gaps.any() or not 2 <= column.count <= MAX_FOLDS or sizes.max() > 2 * sizes.min():
        return False
    return column.kind == "text" or float(np.ptp(column.values)) == column.count - 1


def _is_flag(values: Array) -> bool:
    """Whether values (N,) are 0 and 1, both."""
    return bool(((values == 0) | (values == 1)).all() and values.min() < values.max())


def _groups(
    candidates: Mapping[str, CodedColumn], columns: Mapping[str, CodedColumn], target: CodedColumn | None
) -> list[Hazard]:
    """Returns the column that names who or what a row is of, in several rows: by its name, or since all that is so of
    one row is so of all others with the same value, the target too. Candidates with a name are of all rows, `columns`
    of some."""
    found = []
    for c in candidates.values():
        repeated = c.count >= MIN_GROUPS and len(c.codes) >= MIN_ROWS_OF_GROUP * c.count
        if not repeated or not c.whole or c.kind in ("date", "boolean"):
            continue
        named = _is_named(c) or (target is not None and c is not target and _fixes_target(c, columns, target))
        if named or (target is not None and c is not target and _is_of_one_class(c, target)):
            text = f"column `{c.name}` has {c.count:,} different values in {len(c.codes):,} rows"
            why = "if it says who or what a row is of, rows of one are alike, and those that judge have been seen"
            found.append((c.count, Hazard("groups", text, why, split=("group", c.name), by_class=not named)))
    return [hazard for _, hazard in sorted(found, key=lambda pair: -pair[0])[:1]]


def _is_named(column: CodedColumn) -> bool:
    """Whether the name of a column says that it names who or what a row is of."""
    name = column.name.strip()
    return bool(ENTITY.fullmatch(name) or IDENTIFIER.fullmatch(name))


def _fixes_target(column: CodedColumn, columns: Mapping[str, CodedColumn], target: CodedColumn) -> bool:
    if len(column.codes) < 2 * column.count or not column.fixes(target):
        return False
    shared = (c for c in columns.values() if c is not column and c.count >= MIN_ATTRIBUTE_VALUES)
    return any(column.fixes(c) for c in shared if len(c.codes) == len(column.codes))


def _is_of_one_class(column: CodedColumn, target: CodedColumn) -> bool:
    """Whether it is no chance that all rows with the same cell are of one class, and no order of numbers explains it:
    many small groups, as of visits of patients."""
    if target.kind != "text" or column.count < MIN_PURE_GROUPS or len(column.codes) > MAX_ROWS_OF_GROUP * column.count:
        return False
    if len(column.codes) < 2 * column.count or not column.fixes(target):
        return False
    known = (column.codes >= 0) & (target.codes >= 0)
    shares = np.bincount(target.codes[known]) / known.sum()
    sizes = np.bincount(column.codes[known], minlength=column.count)[:, None]
    if np.log((shares**sizes).sum(axis=1)).sum() > LOG_CHANCE:
        return False
    classes = target.codes[known][np.unique(column.codes[known], return_index=True)[1]]
    changes = int((np.diff(classes) != 0).sum())
    return column.kind == "text" or changes > 0.5 * (column.count - 1) * float(1 - (shares**2).sum())


def _times(columns: Mapping[str, CodedColumn]) -> list[Hazard]:
    for c in columns.values():
        timed = c.kind == "date" or (c.kind == "number" and TIME.fullmatch(c.name.strip()))
        if not timed or c.gaps.any() or c.count < MIN_TIMES:
            continue
        steps = np.diff(c.codes)
        if (steps >= 0).all() or (steps <= 0).all():
            text = f"the rows stand in the order of `{c.name}`"
            why = "rows drawn by chance lie between rows that teach; to be judged on the latest ones, as a forecast is"
            return [Hazard("time-order", text, why, split=("time", c.name))]
    return []


def _copies(columns: Mapping[str, CodedColumn], target: CodedColumn, time: Array | None = None) -> list[Hazard]:
    """Returns the inputs that give the target away: by values, where there are other inputs too, or by gaps. Where rows
    stand in the order of `time` (n,), what grows with it as the target does is no copy of it."""
    found = []
    for c in columns.values():
        if kind := _gaps_give_away(c, target):
            text = f"whether column `{c.name}` has a value gives `{target.name}` away"
            why = f"it is {kind} for one of them alone; if it is filled in only after the target is known"
            found.append(Hazard("gaps", text, why, drop=c.name))
        elif len(columns) > 1 and _gives_away(c, target, time):
            text = f"column `{c.name}` alone gives `{target.name}`, with next to no error"
            why = "if it is made of the target, or known only after it"
            found.append(Hazard("copy", text, why, drop=c.name))
    return found


def _gives_away(column: CodedColumn, target: CodedColumn, time: Array | None) -> bool:
    known = ~column.gaps & ~target.gaps
    x, y = column.codes[known], target.codes[known]
    if len(x) < MIN_ROWS or not known.mean() > 0.5 or column.count < 2:
        return False
    if column.kind == "text" and 5 * column.count > len(x):
        return False
    if target.kind == "text":
        return _separates(x, y, target.count, numeric=column.kind != "text")
    values = target.values[known].astype(np.float64)
    values = np.clip(values, *np.quantile(values, TAILS))  # one far-off row decides nothing
    if column.kind == "date":  # with which the target may change, too
        return _is_in_order(x, y)
    if (column.kind == "text" or column.count <= MAX_CLASSES) and not _are_bins(x, values):
        return False
    for v in (values, y):
        share = _explained(x, v, numeric=column.kind != "text")
        shares = [_explained(by, v, numeric=True) for by in (time[known], y)] if time is not None else [0.0]
        if share > GIVEN_AWAY and (share > shares[0] or share >= shares[-1]):
            return True
    return False


def _is_in_order(x: Array, y: Array) -> bool:
    """Whether y (n,) grows, or falls, from each value of x (n,) to the next, all but a few, and is told apart by it."""
    steps = [np.diff(v[np.lexsort((v, x))])[np.diff(np.sort(x)) != 0] for v in (y, -y)]
    return len(steps[0]) >= MIN_TIMES and any(float(np.mean(step >= 0)) > GIVEN_AWAY for step in steps)


def _are_bins(x: Array, y: Array) -> bool:
    """Whether cells x (n,) seem to be made of y (n,), as bins of it or as other names of its values: y is apart between
    cells hardly more than within them. Where it is, cells are what y goes by, as shops with prices of their own."""
    order = np.lexsort((x, y))
    steps, changes = np.diff(y[order]), np.diff(x[order]) != 0
    if changes.sum() > x.max() + 2 * (1 - GIVEN_AWAY) * len(x):
        return False
    within = steps[~changes]
    return not within.any() or float(steps[changes].mean()) <= CLUSTERS_APART * float(within.mean())


def _separates(x: Array, y: Array, classes: int, *, numeric: bool) -> bool:
    """Whether cells x (n,) tell the classes y (n,) apart: each has rows of one class, all but a few; numbers in one
    stretch for each class. Text of many values, each of a few rows, may know the rows by heart, and is passed over."""
    sizes = np.bincount(y, minlength=classes)
    errors = int((1 - GIVEN_AWAY) * (len(y) - sizes.max()))
    if (sizes > 0).sum() < 2 or sizes[sizes > 0].min() < 5:
        return False
    if x.max() >= 2 * classes + MORE_CODES:
        if not numeric:
            return False
        order = np.lexsort((y, x))
        return int((np.diff(y[order]) != 0).sum()) <= classes - 1 + 2 * errors
    counts = np.zeros((int(x.max()) + 1, classes), np.int64)
    np.add.at(counts, (x, y), 1)
    return len(y) - int(counts.max(axis=1).sum()) <= errors


def _explained(x: Array, y: Array, *, numeric: bool) -> float:
    """Returns the share of the spread of y (n,) that x (n,) explains: for text between its categories, for numbers as
    any smooth function of them, from the differences of neighbours.

    Source    von Neumann 1941, "Distribution of the ratio of the mean square successive difference to the variance"
    """
    y = y.astype(np.float64)
    spread = float(np.var(y))
    if not 0 < spread < np.inf:
        return 0.0
    if numeric:
        neighbours = np.diff(y[np.argsort(x, kind="stable")])
        return 1 - float(np.mean(neighbours**2)) / (2 * spread)
    sizes = np.bincount(x)
    means = np.bincount(x, y) / np.maximum(sizes, 1)
    return 1 - float(np.mean((y - means[x]) ** 2)) / spread


def _gaps_give_away(column: CodedColumn, target: CodedColumn) -> str:
    """Returns whether a column is `filled` or `empty` for rows of one class alone, beyond what chance gives, or ""."""
    if target.kind != "text" or not MIN_FILLED <= column.gaps.sum() <= len(column.gaps) - MIN_FILLED:
        return ""
    shares = np.bincount(target.codes[~target.gaps], minlength=target.count) / len(target.codes)
    for rows, word in ((~column.gaps, "filled"), (column.gaps, "empty")):
        inside = np.bincount(target.codes[rows & ~target.gaps], minlength=target.count)
        k, count = int(inside.argmax()), int(inside.sum())
        if inside[k] >= GIVEN_AWAY * count and count * np.log(shares[k]) < LOG_CHANCE:
            return word
    return ""
