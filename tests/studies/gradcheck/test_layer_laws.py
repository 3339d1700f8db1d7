"""A layer that is wrong at a size that no difference looks at, in one type of numbers, in one order of calls or on
several threads: where it is wrong is said in words."""

from pathlib import Path

import numpy as np
import pytest
from faulty_layers import LAYERS, Fault, right
from own_parts import SQUARE, changed
from own_parts import own as own

from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer
from bpcli.records.gradcheck import GradcheckReport
from bpcli.studies.custom.load import load
from bpcli.studies.gradcheck.check_parts import check_own
from bpcli.studies.gradcheck.layer_laws.check_layer import LayerCheck, check_layer
from bpcli.studies.gradcheck.layer_laws.row_sentences import columns_in_words, indices_in_words

SIZES = {True: (5, 32, 33, 130), False: (5, 32, 33, 130)}


def check(folder: Path, source: str) -> LayerCheck:
    (folder / "layer.py").write_text(source)
    (leaf,) = load((folder / "layer.py",))
    part = leaf.parse({"type": leaf.model_fields["type"].default})
    assert isinstance(part, Layer)
    with np.errstate(all="ignore"):
        return check_layer(plan_network([part], (20,)).layers[0], SIZES, 1e-7, 0)


FOUND = [
    ("bent", "backward", "f.dx[8:] *= 2", "dx",
     "rows 8 to 31 of dx are not what these rows give alone; kernel / alone = 2:"),
    ("bent", "backward", "f.dx[9::9] *= 1.5", "dx", "every 9th row from 9 on"),
    ("bent", "backward", "f.dx[16:, 3] = 0", "dx", "rows 16 to 31 of dx, in column 3 are not"),
    ("bent", "backward", "f.dx[31:] = np.nan", "dx",
     "row 31 of dx is not what these rows give alone; these entries are never"),
    ("bent", "backward", "f.dx[40:, 2:4] = 0", "dx", "rows 40 to 129 of dx, in columns 2 to 3"),
    ("bent", "forward", "f.y[8:] *= 2", "y", "declares rows_are_independent, and rows 8 to 31 of y"),
    ("scaled", "forward", "f.y[20:] += 1", "y", "they depend on their place, or on how many rows there are"),
    ("scaled", "backward", "f.db[...] = dy[:16].sum(0)", "db", "only rows 0 to 15 are counted"),
    ("scaled", "backward", "f.dg += (dy[16:32] * x[16:32]).sum(0)", "dg", "rows 16 to 31 are counted 2 times"),
    ("scaled", "backward", "f.db /= max(1, len(x) - 4)", "db", "is not the sum of what these rows give alone"),
    ("mixed", "backward", "f.dW[:, 16:] *= 1 + (len(f.x) > 64)", "dW",
     "dW of 130 rows, in columns 16 to 19 is not the sum of what these rows give alone; kernel / alone = 2"),
    ("bent", "backward", "if f.x.dtype == np.float32: f.dx *= 1.01", "dx", "in float32 all 5 rows of dx are not"),
    ("scaled", "backward", "if f.x.dtype == np.float32: f.db[-1] = 0", "db", "in float32 db, in column 19 is not"),
    ("bent", "backward", "if not train: f.dx[10:] *= 2", "dx",
     "rows 10 to 31 of dx are not what these rows give alone"),
    ("bent", "backward", "np.clip(f.dx, -9, 9, out=f.dx)", "dx", "backward must be linear in dy"),
    ("bent", "backward", "if elsewhere(): f.dx[0] = 0", "dx", "others where two threads run the kernels"),
    ("scaled", "forward", "STATE['x'] = f.x.copy()", "dg", "a second layer of this class stands behind"),
    ("scaled", "backward", "STATE['size'] = max(STATE['size'], len(x))\nf.dg *= len(x) / STATE['size']", "dg", "dg"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "place", "code", "name", "words"), FOUND)
def test_what_is_wrong_is_said(layer: str, place: str, code: str, name: str, words: str, own: Path) -> None:
    source = Fault("", layer, place, code).source(equations=False)
    if "STATE['x']" in code:
        source = source.replace("dy, x, out=f.dg", "dy, STATE['x'], out=f.dg")
    found = check(own, source)
    texts = {finding.tensor: finding.text for finding in found.findings}
    assert words in texts[f"{layer}_1.{name}"], texts
    assert {row.tensor for row in found.rows if row.verdict == "WRONG"} == texts.keys()


@pytest.mark.parametrize("layer", LAYERS)
def test_nothing_is_wrong_with_a_right_layer(layer: str, own: Path) -> None:
    found = check(own, right(layer, equations=False))
    assert (found.rows, found.findings) == ([], [])
    assert found.laws.rows == (5, 32, 33, 130)
    assert None not in (*found.laws.alone.values(), found.laws.float32, found.laws.scaled, found.laws.calls)
    assert found.laws.threads is (True if layer == "bent" else None), "the engine runs no other on threads"


CENTRED = """
from typing import Literal
import numpy as np
from bpcli.custom import Layer

class Centred(Layer):
    type: Literal["centred"] = "centred"

    def forward(self, f, train):
        np.subtract(f.x, f.x.mean(0), out=f.y)

    def backward(self, f, train):
        np.subtract(f.dy, f.dy.mean(0), out=f.dx)
"""


def test_where_rows_see_each_other_differences_judge(own: Path) -> None:
    """Without equations, by entries of every row."""
    found = check(own, CENTRED)
    assert (found.rows, found.findings) == ([], [])
    assert found.laws.alone == {"training": None, "evaluation": None}
    assert found.laws.beside["training"][0] == "differences"
    wrong = check(own, CENTRED + "        f.dx[24:] = f.dy[24:]\n")
    (row,) = wrong.rows
    assert row.tensor == "centred_1.dx"
    assert row.index[0] >= 24
    assert row.point == "32 rows in training"


def test_rows_and_columns_in_words() -> None:
    assert indices_in_words("row", range(8, 32), 32) == "rows 8 to 31"
    assert indices_in_words("row", [5], 9) == "row 5"
    assert indices_in_words("row", range(4), 4) == "all 4 rows"
    assert indices_in_words("row", range(1, 30, 4), 33) == "every 4th row from 1 on"
    assert indices_in_words("row", [0, 1, 4, 6, 9, 11], 12) == "rows 0, 1, 4, 6 and 2 more"
    wrong = np.zeros((2, 4, 5), bool)
    wrong[:, :, 4] = True
    assert columns_in_words(wrong) == ", in channel 4"
    wrong[...] = False
    wrong[0, 2] = True
    assert columns_in_words(wrong[:1]) == ", in index 1 = 2"


# ------------------------------------------------------------------------------------------------ of a part, by shapes
def report_of(folder: Path, source: str) -> GradcheckReport:
    (folder / "part.py").write_text(source)
    (leaf,) = load((folder / "part.py",))
    return check_own(leaf)


SHAPED = [
    ("bent", "if f.x.ndim == 4: f.dx[..., 0] *= 1.01", "bent_1.dx", 3),
    ("bent", "f.dx[..., 64:] = 0", "bent_1.dx", 1),
    ("scaled", "if len(f.g) == 17: f.db[0] = 0", "scaled_1.db", 1),
    ("scaled", "f.dx[np.abs(f.x) > 10] = 0", "scaled_1.dx", 0),
    ("bent", "f.dx[np.abs(f.x) < 1e-4] = 0", "bent_1.dx", 0),
]


@pytest.mark.parametrize(("layer", "code", "tensor", "axes"), SHAPED)
def test_a_part_is_looked_at_in_many_shapes_and_sizes(layer: str, code: str, tensor: str, axes: int, own: Path) -> None:
    report = report_of(own, Fault("", layer, "backward", code).source(equations=False))
    assert report.wrong == (tensor,)
    (row,) = (row for row in report.tensors if row.tensor == tensor and row.scope == "layer")
    assert not axes or len(row.shape) == axes
    assert [finding.tensor for finding in report.findings] == [tensor]


def test_the_report_says_which_shapes_were_refused(own: Path) -> None:
    report = report_of(own, right("mixed", equations=True))
    assert report.passed
    seen, refused = report.notes
    assert seen == "looked at on rows of shape (5,), (2,), (3,), (17,), (65,)"
    assert refused.startswith("not looked at on rows of shape (65, 2), (17, 3), (3, 17), (2, 65), (2, 17, 2)")
    assert refused.endswith("which plan refuses: too many values to unpack (expected 1)")


SAMPLED = """
    @classmethod
    def samples(cls):
        yield Sample(cls(), (4,))
        yield Sample(cls(), (9,), inputs={"x": np.full((2, 9), 0.125)})
"""


def test_every_sample_that_a_part_declares_is_looked_at(own: Path) -> None:
    """A mistake at the one number that only the second sample holds."""
    source = Fault("", "bent", "backward", "f.dx[f.x == 0.125] *= 2").source(equations=False)
    source = source.replace("Param, Plan, Slot", "Param, Plan, Sample, Slot") + SAMPLED
    report = report_of(own, source)
    assert report.wrong == ("bent_1.dx",)
    (row,) = (row for row in report.tensors if row.scope == "layer" and row.verdict == "WRONG")
    assert row.shape == (9,)
    assert report.notes[1] == "looked at on rows of shape (4,), (9,)"


LOSSES = [
    ("f.dx[8:] *= 2", "loss.dx", "rows 8 to 32 of dx are not what these rows give alone, divided by their number"),
    ("if len(f.x) > 100: f.dx[-1] = 0", "loss.dx", "row 129 of dx is not"),
]


@pytest.mark.parametrize(("code", "tensor", "words"), LOSSES)
def test_a_loss_is_the_mean_of_its_rows(code: str, tensor: str, words: str, own: Path) -> None:
    assert report_of(own, SQUARE).passed
    report = report_of(own, SQUARE.replace('"square"', '"squared"') + f"        {code}\n")
    assert report.wrong == (tensor,)
    assert words in report.findings[0].text


def test_a_loss_whose_value_drops_rows(own: Path) -> None:
    source = changed(SQUARE, ("float(np.vdot(f.e, f.e))", "float(np.vdot(f.e[:32], f.e[:32]))"))
    report = report_of(own, source)
    assert report.wrong == ("loss.L",)
    assert report.findings[0].text.startswith(
        "the loss of 33 rows is not the mean of their losses: kernel / mean = 0.9"
    )
