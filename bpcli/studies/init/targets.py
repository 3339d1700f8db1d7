"""What a first experiment predicts: classes or numbers, by what the targets hold."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, Literal

import numpy as np

from bpcli.config.dump import flow
from bpcli.family import Array, Table
from bpcli.parts.data.cells import number_of
from bpcli.parts.data.cells.missing import MISSING_AMONG_NUMBERS
from bpcli.records.printable import shell_word
from bpcli.records.training import Failure, Problem
from bpcli.studies.init.options import option

TableTask = Literal["classify", "regress"]

MAX_CLASS_IDS = 20  # different whole numbers that may be class ids
MAX_LABELS_NAMED = 4  # of those that are alike
MIN_ROWS_PER_CLASS = 10  # on average, where whole numbers count as class ids


def find_task(table: Table, task: TableTask | None) -> tuple[TableTask, dict[str, int], bool]:
    """Returns the task, how many rows each class has, and whether a row may have several labels. Raises Failure where
    the targets are not what `task` says."""
    target = table.target
    assert target is not None
    if target.dtype == object or (target.ndim == 1 and (task or _looks_like_ids(target)) in (True, "classify")):
        if task == "regress":
            text = f"the target `{_name(table)}` holds text: it cannot be a regression"
            raise Failure(Problem(text, code="text-target", help="leave --task out, or name a column of numbers"))
        found = Counter(map(str, target.tolist()))
        _classes_fit(table, found)
        return "classify", found, False
    if target.ndim == 2 and target.shape[1] > 1 and task != "regress" and ((target == 0) | (target == 1)).all():
        return "classify", {}, bool((target.sum(axis=1) != 1).any())
    if task == "classify":
        text = f"the target `{_name(table)}` holds fractions: they are no classes"
        raise Failure(Problem(text, code="not-classes", help="--task regress, or leave it out"))
    if table.target_names and len(target) > 1 and (target == target[0]).all():
        text = (
            f"the target `{_name(table)}` is {float(np.ravel(target)[0]):.10g} in every row: there is nothing to learn"
        )
        raise Failure(Problem(text, code="constant-target", help="name another column with --target"))
    return "regress", {}, False


def _looks_like_ids(target: Array) -> bool:
    values = np.unique(target)
    few = len(values) <= MAX_CLASS_IDS and len(target) >= MIN_ROWS_PER_CLASS * len(values)
    return len(values) <= 2 or (few and int(values[-1]) - int(values[0]) < 2 * MAX_CLASS_IDS)


def _classes_fit(table: Table, found: Mapping[str, int]) -> None:
    if len(found) == 1:
        text = f"the target `{_name(table)}` is `{next(iter(found))}` in every row: there is nothing to tell apart"
        raise Failure(Problem(text, code="one-class", help="name another column with --target"))
    if 2 * len(found) > table.rows:
        text = f"the target `{_name(table)}` has {len(found):,} different values in {table.rows:,} rows: a class of a "
        text += "single row cannot be learned and judged"
        others = ", ".join(table.order[:8]) + ", ..." * (len(table.order) > 8)
        help = f"name a column whose values come back, --target NAME (there are {others}), or give rows that belong "
        help += f"together one name in `{_name(table)}`, at best {MIN_ROWS_PER_CLASS} rows and more to each"
        assert table.target is not None
        help += "" if table.target.dtype == object else "; --task regress predicts numbers as values"
        raise Failure(Problem(text, code="no-classes", help=help))


def _name(table: Table) -> str:
    return table.target_names[0] if table.target_names else "y"


def count_outputs(table: Table, classes: Mapping[str, int]) -> int:
    assert table.target is not None
    return len(classes) or (table.target.shape[1] if table.target.ndim == 2 else 1)


def dressed_target_remarks(table: Table) -> tuple[str, ...]:
    """Returns a remark on each target of numbers that are not written as programs write them: how they are read."""
    if table.target is None or table.target.dtype == object:
        return ()
    written = {name: table.formats[name].words() for name in table.target_names if name in table.formats}
    return tuple(f"the target `{name}` is read as numbers: {words}" for name, words in written.items() if words)


def whole_numbers_remark(table: Table, classes: Mapping[str, int], task: TableTask | None) -> tuple[str, ...]:
    """Returns the remark that whole numbers were taken for classes, where nobody said so. In the table they are still
    numbers, if they can be read so: what is text cannot be predicted as numbers."""
    target = table.target
    if task is not None or not classes or target is None or target.dtype == object:
        return ()
    ids = f"{int(target.min())} to {int(target.max())}"
    text = f"the whole numbers of `{_name(table)}`, {ids}, are taken for {len(classes)} classes"
    text += ", each as it is written" if len(classes) > len(np.unique(target)) else ""
    return (text + "; `--task regress` predicts them as numbers",)


def like_labels_remark(table: Table, classes: Mapping[str, int]) -> tuple[str, ...]:
    """Returns the remark that labels are equal as numbers, or but for capitals and spaces: nothing joins them."""
    alike: dict[float | str, list[str]] = {}
    for label in classes:
        number = number_of(label.strip())
        alike.setdefault(" ".join(label.casefold().split()) if number is None else number, []).append(label)
    found = []
    for key, labels in alike.items():
        if len(labels) > 1:
            named = " and ".join(f"`{label}`" for label in labels[:MAX_LABELS_NAMED])
            named += f" and {len(labels) - MAX_LABELS_NAMED} more" if len(labels) > MAX_LABELS_NAMED else ""
            how = "differ by capitals or spaces alone" if isinstance(key, str) else "are equal as numbers"
            found.append(f"the labels {named} of `{_name(table)}` {how}, and stay {len(labels)} classes: if they mean "
                         "one, write them alike in the file")  # fmt: skip
    more = len(found) - MAX_LABELS_NAMED
    return (*found[:MAX_LABELS_NAMED], *([f"and {more} more such labels"] if more > 0 else []))


def gap_remarks(table: Table, classes: Mapping[str, int], source: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns remarks that labels look like words for no value, and that words which are read as no value may be
    labels, or categories of an input, with the commands that take them so; `source` is how the source is spelled
    out."""
    target = " ".join(option("--target", name) for name in table.target_names)

    def typed(settings: Mapping[str, Any]) -> str:
        return f"`bpcli init {shell_word(flow({**source, **settings}))} {target}`"

    found = []
    odd = [label for label in classes if label.strip().lower() in (*MISSING_AMONG_NUMBERS, "none")]
    if odd and table.target_names:
        one, named = len(odd) == 1, " and ".join(f"`{label}`" for label in odd)
        text = f"the label{'s' * (not one)} {named} of `{_name(table)}` {'is a class' if one else 'are classes'}: "
        found.append(f"{text}if {'it stands' if one else 'they stand'} for no value, {typed({'missing_values': odd})}")
    for name, words in table.missing_words.items():
        if name in table.target_names:
            words = tuple(w for w in words if classes and w.lower() != "nan")
            words = () if all(number_of(label) is not None for label in classes) else words
            what = "it is a class", "they are classes"
        else:
            words = tuple(w for w in words if name in table.texts and _is_like(w, table.texts[name].found))
            what = "it is a category", "they are categories"
        if words:
            columns = dict(source.get("columns", {}))
            columns[name] = {**columns.get(name, {}), "missing_values": [""]}
            text = f"`{name}`: {' and '.join(f'`{w}`' for w in words)} {'is' if len(words) == 1 else 'are'} read as no "
            found.append(f"{text}value; if {what[len(words) > 1]}, {typed({'columns': columns})}")
    return tuple(found)


def _is_like(word: str, categories: Collection[str]) -> bool:
    """Whether a word is written as all categories are, in as many capital letters: NA beside EU, AS and SA."""
    return len(categories) > 1 and all(
        len(each) == len(word) and each.isalpha() and each.isupper() for each in (word, *categories)
    )


def few_rows_remark(rows: int, classes: Mapping[str, int]) -> tuple[str, ...]:
    """Returns the remark that classes have few rows; none where they have enough."""
    if rows >= MIN_ROWS_PER_CLASS * len(classes):
        return ()
    text = f"{rows:,} rows for {len(classes):,} classes, the smallest with {min(classes.values())}: hardly enough to "
    return (text + f"learn from. Join classes, or find {MIN_ROWS_PER_CLASS} rows and more of each.",)
