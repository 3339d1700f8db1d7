"""An equation in LaTeX, for a display formula (amsmath)."""

from collections.abc import Sequence
from typing import ClassVar

from bpcli.notation.reader import Drawn, Stacked
from bpcli.notation.symbols import GREEK, Level, Symbol
from bpcli.notation.syntax import Expr

_COMMANDS = {letter: rf"\{name}" for name, letter in GREEK.items()} | {
    "ε": r"\varepsilon", "λ": r"\lambda", "Φ": r"\Phi", "φ": r"\varphi", "∞": r"\infty",
}  # fmt: skip
_OPERATORS = {"sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min", "argmax": r"\operatorname*{argmax}"}
_FUNCTIONS = {"log", "sin", "cos", "sinh", "cosh", "tanh", "min", "max"}


class Latex(Stacked):
    r"""Draws equations in LaTeX:
    `\frac{\partial L}{\partial W_{i,o}} = \sum_{n} x_{n,i} \, \frac{\partial L}{\partial y_{n,o}}`."""

    signs: ClassVar = {
        "+": " + ", "-": " - ", "%": r" \bmod ", "/": " / ", "neg": "-", "...": r"\dots",
        "==": " = ", "!=": r" \ne ", ">": " > ", "<": " < ", ">=": r" \ge ", "<=": r" \le ",
    }  # fmt: skip
    fences: ClassVar = {
        "(": (r"\left(", r"\right)"), "[": (r"\left[", r"\right]"), "|": (r"\left|", r"\right|"),
        "floor": (r"\left\lfloor ", r"\right\rfloor"),
    }  # fmt: skip

    def symbol(self, symbol: Symbol, index: Sequence[str]) -> Drawn:
        letter = _COMMANDS.get(symbol.letter, symbol.letter)
        if len(symbol.letter) > 1:
            letter = r"\mathrm{" + letter.replace("_", r"\_") + "}"
        if symbol.hat:
            letter = rf"\hat{{{letter}}}"
        lowered = ",".join([symbol.digits] * bool(symbol.digits) + list(index))
        raised = "2" * symbol.square + "+" * (symbol.new and not symbol.gradient)
        name = letter + (f"_{{{lowered}}}" if lowered else "") + (f"^{{{raised}}}" if raised else "")
        if symbol.gradient:
            slope = rf"\frac{{\partial {self.of}}}{{\partial {name}}}"
            return Drawn(rf"\left({slope}\right)^{{+}}", Level.POWER) if symbol.new else Drawn(slope, Level.FACTOR)
        return Drawn(name, Level.POWER if raised else Level.ATOM)

    def numeral(self, text: str) -> str:
        mantissa, e, exponent = text.partition("e")
        if e:
            return ("" if mantissa == "1" else rf"{mantissa} \cdot ") + f"10^{{{exponent}}}"
        return {"inf": r"\infty", "nan": r"\mathrm{nan}"}.get(text, text)

    def times(self, left: str, right: Drawn) -> str:
        dot = r"\cdot" if right.lead == "0" or self.digits is not None else r"\,"
        return f"{left} {dot} {right.text}"

    def stack(self, over: str, under: str) -> str:
        return rf"\frac{{{over}}}{{{under}}}"

    def power(self, base: str, exponent: Expr) -> Drawn:
        return Drawn(f"{base}^{{{self.small(exponent).text}}}", Level.POWER)

    def exponential(self, exponent: Expr) -> Drawn:
        return Drawn(f"e^{{{self.small(exponent).text}}}", Level.POWER)

    def root(self, radicand: Expr) -> Drawn:
        return Drawn(rf"\sqrt{{{self.draw(radicand).text}}}")

    def apply(self, fn: str, args: Sequence[str]) -> Drawn:
        name = rf"\{fn}" if fn in _FUNCTIONS else rf"\operatorname{{{fn}}}"
        return Drawn(rf"{name}\left({', '.join(args)}\right)")

    def big(self, fn: str, over: Sequence[str], body: str) -> str:
        return f"{_OPERATORS[fn]}_{{{','.join(over)}}} {body}"

    def percentile(self, rank: Expr, over: Sequence[str], values: Sequence[str]) -> Drawn:
        listed = f"{values[0]} : {','.join(over)}" if over else ", ".join(values)
        return Drawn(rf"P_{{{self.draw(rank).text}}}\left({listed}\right)")

    def cases(self, rows: Sequence[tuple[str, str]], otherwise: str) -> Drawn:
        listed = [rf"{value} & \text{{if }} {condition}" for value, condition in rows]
        listed.append(rf"{otherwise} & \text{{otherwise}}")
        return Drawn(r"\begin{cases} " + r" \\ ".join(listed) + r" \end{cases}")

    def rest(self, count: str, value: str) -> Drawn:
        return Drawn(rf"\underbrace{{{value}}}_{{{count} \text{{ more}}}}")

    def labelled(self, label: str, value: str) -> str:
        return rf"{label} \colon {value}"
