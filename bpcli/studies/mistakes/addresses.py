"""What claims name: the entries of a derivation by their addresses, and by the other names that textbooks use."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bpcli.family.part import near
from bpcli.numeric.shapes import entry_index, entry_name
from bpcli.records.trace import Quantity
from bpcli.records.training import Problem
from bpcli.studies.mistakes.claims import Claim, first_of
from bpcli.studies.trace.graph import LOSS_AFTER, START, NodeKey, StepGraph

MAX_NAMES_SUGGESTED = 16  # names that are listed where one is not known


@dataclass(frozen=True)
class ClaimedEntry:
    """The entry that a claim is about: `index` in the flattened array of a node or of a start value."""

    claim: Claim
    key: NodeKey
    index: int
    address: str


@dataclass(frozen=True)
class _NamedArray:
    key: NodeKey
    start: int  # in the node's array
    shape: tuple[int, ...]
    rows: bool  # its first index counts the rows


class Addresses:
    """Every name that a claim may use."""

    def __init__(self, graph: StepGraph, quantities: Sequence[Quantity]) -> None:
        self.graph = graph
        self.arrays: dict[str, _NamedArray] = {}
        for key, value in graph.truth.items():
            if key[0] == START:
                self.arrays[key[2]] = _NamedArray(key, 0, value.shape, key[2] in ("x", "t"))
        for q in quantities:  # of two by one name the later: a gradient with its penalty, a weight under a constraint
            first = q.equation.free[0] if q.equation.free else None
            rows = getattr(first, "letter", "") == "n"
            self.arrays[q.path] = _NamedArray(*self._start_of(q), q.value.shape, rows)
        self.arrays["loss_after"] = _NamedArray(LOSS_AFTER, 0, (), False)
        self.arrays.setdefault("loss", self.arrays["data_loss"])
        self.aliases = dict(self._aliases())

    def entries_of(self, claims: Sequence[Claim]) -> list[ClaimedEntry]:
        """Returns what the claims name, in the order of the derivation. Raises Failure for names that name nothing,
        indices out of range, and entries that are named twice; for all of them at once."""
        found: dict[str, ClaimedEntry] = {}
        problems: list[Problem] = []
        for claim in claims:
            target = self._entry_of(claim, first=not problems)
            if isinstance(target, Problem):
                problems.append(target)
            elif (other := found.get(target.address)) is not None:
                text = f"this is the same number as {other.claim.name}"
                text += f" on line {other.claim.position.line}"
                problems.append(claim.problem(text, "duplicate-claim", "remove one"))
            else:
                found[target.address] = target
        if problems:
            raise first_of(problems)
        return sorted(found.values(), key=lambda t: (self.graph.order[t.key], t.index))

    def _start_of(self, q: Quantity) -> tuple[NodeKey, int]:
        """Returns the node that a quantity is of, and where in its array it begins."""
        own = (q.part, q.tensor or q.layer, q.name)
        if own in self.graph.nodes:
            return own, 0
        key = (q.part, q.layer, q.name)
        tensors = self.graph.nodes[key].block.tensors
        sizes = [int(np.prod(shape)) for _, shape in tensors]
        return key, sum(sizes[: [path for path, _ in tensors].index(q.tensor)])

    def _aliases(self) -> Iterator[tuple[str, str]]:
        """Yields other names, by the names they stand for: z, a and delta of a layer with weights, and what a layer
        reads."""
        yield from (pair for pair in self._other_names() if pair[0] not in self.arrays)

    def _other_names(self) -> Iterator[tuple[str, str]]:
        """Yields these, those among them that are names of other arrays, too: a formula may have a z of its own."""
        names = {array.key: name for name, array in self.arrays.items()}
        for node in self.graph.target.network_plan.walk():
            path = node.path
            for read in ("x", "dy"):
                key = self.graph.input_key(path, read)
                if key in names:
                    yield f"{path}.{read}", names[key]
            if node.plan.params:
                ending = f"{path}.activation.y"
                yield f"{path}.z", f"{path}.y"
                yield f"{path}.a", ending if ending in self.arrays else f"{path}.y"
                error = self.graph.input_key(path, "dy")
                if error in names:
                    yield f"{path}.delta", names[error]

    def _entry_of(self, claim: Claim, first: bool) -> ClaimedEntry | Problem:
        match = re.fullmatch(r"\s*([\w.]+)\s*(?:\[([\d\s,]*)\])?\s*", claim.name)
        path = match[1] if match else claim.name
        path = self.aliases.get(path, path)
        if match is None or path not in self.arrays:
            return self._unknown(claim, match[1] if match else claim.name, first)
        array = self.arrays[path]
        at = entry_index(match[2] or "")
        full = _completed(at, array)
        if full is None:
            corners = (0,) * len(array.shape), tuple(n - 1 for n in array.shape)
            first_index, last_index = (entry_name("", i) for i in corners)
            text = "there is no such entry"
            one = f"{path} is one number, {path}{first_index}" if first_index == last_index else ""
            help = one or f"{path} has entries {path}{first_index} to {path}{last_index}, counted from 0"
            return claim.problem(text, "no-entry", help)
        index = array.start + (int(np.ravel_multi_index(full, array.shape)) if full else 0)
        return ClaimedEntry(claim, array.key, index, path + (f"[{','.join(map(str, full))}]" if full else ""))

    def _unknown(self, claim: Claim, word: str, first: bool) -> Problem:
        """Returns a problem with a name; the first one lists the names there are."""
        known = [*self.arrays, *self.aliases]
        guess = next((n for n in known if n.lower() == word.lower()), None) or near(word, known)
        few = [f"{p}{list(a.shape)}".replace(" ", "") if a.shape else p for p, a in self.arrays.items()]
        listed = ", ".join(few[:MAX_NAMES_SUGGESTED]) + (", ..." if len(few) > MAX_NAMES_SUGGESTED else "")
        help = [f"did you mean `{guess}`?"] if guess else []
        help += [f"there are, with their shapes: {listed}"] if first else []
        return claim.problem("this names nothing in this derivation", "unknown-claim", " ".join(help))


def _completed(at: tuple[int, ...], array: _NamedArray) -> tuple[int, ...] | None:
    """Returns the whole index: what has only one value may be left out; None where there is no such entry."""
    shape = array.shape
    if not at and math.prod(shape) == 1:
        at = (0,) * len(shape)
    if array.rows and len(at) == len(shape) - 1 and shape[0] == 1:
        at = (0, *at)
    if len(at) != len(shape) or any(i >= n for i, n in zip(at, shape, strict=True)):
        return None
    return at
