"""Settings that are no finite number of the run's type are refused where they stand, before anything is read."""

from pathlib import Path
from typing import Any

import pytest
from cli_lab import CONFIG, DATA

from bpcli.config.yamlfile import parse
from bpcli.records.training import Exit, Failure
from bpcli.studies.run.setup import fit_together, override, prepare_data

BAD = {
    "architecture.0.init": (
        "{type: constant, value: NUMBER}", "{type: normal, std: NUMBER}", "{type: normal, mean: NUMBER}",
        "{type: uniform, low: -1.0, high: NUMBER}", "{type: truncated_normal, std: NUMBER}",
        "{type: orthogonal, gain: NUMBER}",
    ),
    "architecture.1.weights": ("[[1, 2], [3, 4], [5, 6], [7, NUMBER]]",),
    "architecture.0": (
        "{type: conv1d, filters: 1, kernel: 2, weights: [[[1]], [[NUMBER]]]}",
        "{type: conv2d, filters: 2, kernel: 1, weights: [[[[1, NUMBER]]]]}",
        "{type: conv1d, filters: 1, kernel: 2, bias: [NUMBER]}",
    ),
    "architecture.1.bias": ("[1, NUMBER]",),
    "architecture.0.activation": ("{type: elu, alpha: NUMBER}",),
    "loss": (
        "{type: softmax_cross_entropy, class_weights: {oak: NUMBER}}", "{type: focal, gamma: NUMBER}",
        "{type: focal, alpha: NUMBER}",
    ),
    "regularization": ("{type: l2, strength: NUMBER}",),
    "constraint": ("{type: max_norm, limit: NUMBER}",),
    "clipping": ("{type: value, limit: NUMBER}", "{type: global_norm, max_norm: NUMBER}"),
    "optimizer": (
        "{type: adam, eps: NUMBER}", "{type: sgd, learning_rate: NUMBER}",
        "{type: sgd, learning_rate: {type: step, start: NUMBER, every: 2}}",
    ),
}  # fmt: skip


def refused(where: str, value: str, more: tuple[str, ...] = ()) -> tuple[str, str]:
    """What is said first of a setting, and the text under the caret."""
    with pytest.raises(Failure) as failure:
        override(parse(CONFIG, "trees.yaml"), (*more, f"{where}={value}"))
    assert failure.value.exit == Exit.BAD_INPUT
    p = failure.value.problems[0]
    return p.text, p.excerpt[-1][1][p.column - 1 : p.column - 1 + p.span]


@pytest.mark.parametrize(("where", "value"), [(where, value) for where, values in BAD.items() for value in values])
def test_what_no_array_of_the_run_holds_is_refused_under_a_caret(where: str, value: str) -> None:
    for number in (".inf", "-.inf", ".nan", "1e39"):
        text, marked = refused(where, value.replace("NUMBER", number))
        assert number in marked
        assert number == "1e39" or number.strip("-.") in text
    text, marked = refused(where, value.replace("NUMBER", "1e39"))
    assert marked == "1e39"
    assert text.endswith(" is beyond float32, whose largest number is 3.4e+38")
    override(parse(CONFIG, "trees.yaml"), ("dtype=float64", f"{where}={value.replace('NUMBER', '1e39')}"))
    refused(where, value.replace("NUMBER", "1e400"), ("dtype=float64",))


def test_figures_that_end_a_training_are_finite_and_may_be_of_any_size() -> None:
    for value in ("{metric: train.loss, at_most: NUMBER}", "{metric: train.loss, at_least: NUMBER}"):
        refused("training.stop_when", value.replace("NUMBER", ".inf"))
        override(parse(CONFIG, "trees.yaml"), (f"training.stop_when={value.replace('NUMBER', '1e39')}",))


@pytest.mark.parametrize(
    ("init", "dtype", "draws"),
    [
        ("{type: normal, std: 3e38}", "float32", False),
        ("{type: normal, std: 3e38}", "float64", True),
        ("{type: normal, std: 1e308}", "float64", False),
        ("{type: truncated_normal, std: 3e38}", "float32", False),
        ("{type: uniform, low: -3e38, high: 3e38}", "float32", True),
        ("{type: constant, value: 3.4e38}", "float32", True),
    ],
)
def test_weights_that_would_be_drawn_beyond_the_type_are_refused(
    init: str, dtype: str, draws: bool, tmp_path: Path
) -> None:
    """Each setting fits; a draw may be some times as large."""
    (tmp_path / "trees.csv").write_text(DATA)
    sets = (f"architecture.0.init={init}", f"dtype={dtype}", "architecture.0.units=200")
    document, experiment = override(parse(CONFIG, "trees.yaml"), sets)
    prepared: Any = prepare_data(document, experiment, tmp_path)
    if draws:
        fit_together(document, experiment, prepared, tmp_path)
        return
    with pytest.raises(Failure, match=f"draws weights beyond {dtype} for dense_1.W") as failure:
        fit_together(document, experiment, prepared, tmp_path)
    assert failure.value.problems[0].path == ("architecture", 0, "init")


def test_as_many_values_as_the_tensor_has_are_said_before_anything_is_filled(tmp_path: Path) -> None:
    values = "architecture.0.init={type: values, values: [1, 2, 0.5]}"
    document, experiment = override(parse(CONFIG, "trees.yaml"), (values,))
    (tmp_path / "trees.csv").write_text(DATA)
    prepared: Any = prepare_data(document, experiment, tmp_path)
    with pytest.raises(Failure) as failure:
        fit_together(document, experiment, prepared, tmp_path)
    problem = failure.value.problems[0]
    assert (problem.code, failure.value.exit) == ("init", Exit.BAD_INPUT)
    assert "3 values are given for a tensor of " in problem.text
    assert "dense_1.W is of shape 2 x " in problem.help
    assert problem.excerpt[-1][1][problem.column - 1 :].startswith("{type: values")
