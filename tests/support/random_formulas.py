"""Random formulas of the notation, for what has to hold of all: every function and reduction, up to 3 indices."""

from typing import Any

import numpy as np

from bpcli.notation import Eq

SIZES = {"n": 3, "i": 2, "j": 4}
ARRAYS = {"A": "ni", "B": "ij", "C": "nj", "v": "j", "u": "n", "T": "nij"}
OPERATIONS = ("sum", "difference", "product", "quotient", "power", "function", "function", "cases", "choice", "step",
              "negative", "leaf", "reduction", "reduction", "reduction")  # fmt: skip
FUNCTIONS = (
    "tanh({})", "sin({})", "cos({})", "exp(-({})**2)", "exp(sin({}))", "log(0.3 + ({})**2)", "log1p(({})**2)",
    "sqrt(0.2 + ({})**2)", "abs({})", "erf({})", "erfc({})", "log1pexp({})", "expm1(tanh({}))", "sign({})",
    "sigmoid({})", "softplus({})", "relu({})", "sinh(tanh({}))", "cosh(tanh({}))", "floor({})", "({} > 0.1)",
)  # fmt: skip
POWERS = ("({})**2", "({})**3", "(0.5 + ({})**2)**1.5", "(0.5 + ({})**2)**tanh({})", "(1 + abs({}))**scale")
STEPS = ("({} % 0.7)", "({} // 0.5)", "xlogy(({})**2, 0.1 + ({})**2)", "clip({}, -0.5, {})")
CHOICES = ("max({}, {})", "min({}, {})", "max({}, 0.2)", "min(0.1, {})")
REDUCTIONS = ("sum", "sum", "sum", "mean", "prod", "max", "min", "logsumexp", "norm", "argmax")


class RandomFormulas:
    """Draws formulas, and numbers for what they read."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.arrays = dict(ARRAYS)

    def env(self) -> dict[str, Any]:
        """Returns arrays and numbers for all that a formula may read."""
        found = {name: self.rng.normal(size=[SIZES[k] for k in letters]) for name, letters in ARRAYS.items()}
        return found | {"scale": float(self.rng.normal())}

    def equations(self, depth: int) -> list[Eq]:
        """Returns one equation, or two of which the second may read the first."""
        found = []
        if self.rng.random() < 0.5:
            scope = [k for k in SIZES if self.rng.random() < 0.6]
            found.append(Eq(_left("z", scope), self.expression(max(1, depth - 2), scope)))
            self.arrays["z"] = "".join(scope)
        scope = [k for k in SIZES if self.rng.random() < 0.5]
        right = self.expression(depth, scope)
        if "z" in self.arrays and not self.arrays.pop("z"):
            right += " * z"
        return [*found, Eq(_left("y", scope), right)]

    def expression(self, depth: int, scope: list[str]) -> str:
        """Returns an expression over indices that run already."""
        if not depth:
            return self._leaf(scope)
        free = [k for k in SIZES if k not in scope]
        match self._pick(OPERATIONS):
            case "sum":
                return self._filled("({} + {})", depth, scope)
            case "difference":
                return self._filled("({} - {})", depth, scope)
            case "product":
                return self._filled("({} * {})", depth, scope)
            case "quotient":
                return self._filled("({} / (1 + ({})**2))", depth, scope)
            case "power":
                return self._filled(self._pick(POWERS), depth, scope)
            case "function":
                return self._filled(self._pick(FUNCTIONS), depth, scope)
            case "cases":
                return self._filled(f"where({{}} {self._pick(('<', '>', '>='))} {{}}, {{}}, {{}})", depth, scope)
            case "choice":
                return self._filled(self._pick(CHOICES), depth, scope)
            case "step":
                return self._filled(self._pick(STEPS), depth, scope)
            case "negative":
                return self._filled("-{}", depth, scope)
            case "reduction" if free:
                return self._reduction(depth, scope, free)
        return self._leaf(scope)

    def _pick(self, options: tuple[str, ...] | list[str]) -> str:
        return options[int(self.rng.integers(len(options)))]

    def _filled(self, form: str, depth: int, scope: list[str]) -> str:
        return form.format(*(self.expression(depth - 1, scope) for _ in range(form.count("{}"))))

    def _reduction(self, depth: int, scope: list[str], free: list[str]) -> str:
        over = [self._pick(free)]
        others = [k for k in free if k not in over]
        if others and self.rng.random() < 0.3:
            over.append(self._pick(others))
        binds = ",".join(f"{k}<{SIZES[k]}" for k in over)
        return f"{self._pick(REDUCTIONS)}({binds}, {self.expression(depth - 1, [*scope, *over])})"

    def _leaf(self, scope: list[str]) -> str:
        if self.rng.random() < 0.1:
            return self._pick(("2", "0.5", "3", "1.5"))
        names = [name for name, letters in self.arrays.items() if letters and set(letters) <= set(scope)]
        if not names or self.rng.random() < 0.1:
            return "scale"
        name = self._pick(names)
        index = list(self.arrays[name])
        if self.rng.random() < 0.12:  # shifted, or from the end
            k = int(self.rng.integers(len(index)))
            index[k] = self._pick((f"{index[k]}-1", f"{index[k]}+1", f"{SIZES[index[k]] - 1}-{index[k]}"))
            return f"pad({name}[{','.join(index)}])"
        return f"{name}[{','.join(index)}]"


def _left(name: str, scope: list[str]) -> str:
    return f"{name}[{','.join(f'{k}<{SIZES[k]}' for k in scope)}]" if scope else name
