"""An equation as one line of a terminal."""

from collections.abc import Sequence
from typing import ClassVar

from bpcli.notation.reader import Drawn, Reader
from bpcli.notation.symbols import Level, Symbol
from bpcli.notation.syntax import Expr

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class Text(Reader):
    """Draws equations as a line of Unicode: `∂L/∂W[i,o] = Σ_n x[n,i]·∂L/∂y[n,o]`."""

    signs: ClassVar = {
        "+": " + ", "-": " − ", "%": " mod ", "neg": "−", "*": "·", "/": "/", "...": "…", "d": "∂",
        "==": " = ", "!=": " ≠ ", ">": " > ", "<": " < ", ">=": " ≥ ", "<=": " ≤ ",
    }  # fmt: skip
    fences: ClassVar = {"(": ("(", ")"), "[": ("[", "]"), "|": ("|", "|"), "floor": ("⌊", "⌋")}
    operators: ClassVar = {"sum": "Σ", "prod": "Π", "max": "max", "min": "min", "argmax": "argmax"}

    def symbol(self, symbol: Symbol, index: Sequence[str]) -> Drawn:
        read = self.brackets(index)
        name = self.letters(symbol)
        if symbol.gradient:
            whole = f"{self.signs['d']}{self.of}/{self.signs['d']}{name}{read}"
            return Drawn(f"({whole})⁺") if symbol.new else Drawn(whole, Level.FACTOR)
        return Drawn(name + "⁺" * symbol.new + read, Level.POWER if symbol.square or symbol.new else Level.ATOM)

    def letters(self, symbol: Symbol) -> str:
        """Returns the name without its indices."""
        return symbol.letter + "\u0302" * symbol.hat + symbol.digits.translate(_LOWERED) + "²" * symbol.square

    @staticmethod
    def brackets(index: Sequence[str]) -> str:
        """Returns the indices of a read."""
        comma = ", " if any(" " in i for i in index) else ","
        return f"[{comma.join(index)}]" if index else ""

    def numeral(self, text: str) -> str:
        return text.replace("inf", "∞")

    def times(self, left: str, right: Drawn) -> str:
        return left + self.signs["*"] + right.text

    def fraction(self, left: Expr, right: Expr) -> Drawn:
        return self.flat(left, right)

    def slash(self, over: str, under: str) -> str:
        return "/" if over.lstrip(self.signs["neg"]).isalnum() and under.isalnum() else " / "

    def power(self, base: str, exponent: Expr) -> Drawn:
        drawn = self.fit(exponent, Level.ATOM).text
        return Drawn(base + (self.raised(drawn) if drawn.isdecimal() else f"^{drawn}"), Level.POWER)

    def raised(self, exponent: str) -> str:
        """Returns a whole exponent."""
        return exponent.translate(_RAISED)

    def exponential(self, exponent: Expr) -> Drawn:
        return Drawn(f"e^({self.draw(exponent).text})", Level.POWER)

    def root(self, radicand: Expr) -> Drawn:
        return Drawn("√" + self.fit(radicand, Level.ATOM).text)

    def apply(self, fn: str, args: Sequence[str]) -> Drawn:
        return Drawn(f"{fn}({', '.join(args)})")

    def big(self, fn: str, over: Sequence[str], body: str) -> str:
        under = over[0] if len(over) == 1 and len(over[0]) == 1 else f"{{{','.join(over)}}}"
        return f"{self.operators[fn]}_{under} {body}"

    def percentile(self, rank: Expr, over: Sequence[str], values: Sequence[str]) -> Drawn:
        listed = f"{values[0]} : {','.join(over)}" if over else ", ".join(values)
        return Drawn(f"P_{self.fit(rank, Level.ATOM).text}({listed})")

    def cases(self, rows: Sequence[tuple[str, str]], otherwise: str) -> Drawn:
        listed = "; ".join(f"{value} if {condition}" for value, condition in rows)
        return Drawn(f"{{{listed}; {otherwise} otherwise}}")

    def rest(self, count: str, value: str) -> Drawn:
        return Drawn(f"[{count} more: {value}]")

    def labelled(self, label: str, value: str) -> str:
        return f"{label}: {value}"


class Ascii(Text):
    """Draws equations as a line of ASCII, names as in the file: `dL/dW[i,o] = sum_n x[n,i]*dL/dy[n,o]`."""

    signs: ClassVar = {
        "+": " + ", "-": " - ", "%": " mod ", "neg": "-", "*": "*", "/": "/", "...": "...", "d": "d",
        "==": " = ", "!=": " != ", ">": " > ", "<": " < ", ">=": " >= ", "<=": " <= ",
    }  # fmt: skip
    fences: ClassVar = {"(": ("(", ")"), "[": ("[", "]"), "|": ("|", "|"), "floor": ("floor(", ")")}
    operators: ClassVar = {"sum": "sum", "prod": "prod", "max": "max", "min": "min", "argmax": "argmax"}

    def symbol(self, symbol: Symbol, index: Sequence[str]) -> Drawn:
        read = self.brackets(index)
        name = symbol.name + "_new" * symbol.new
        return Drawn(f"d{self.of}/d{name}{read}", Level.FACTOR) if symbol.gradient else Drawn(name + read)

    def numeral(self, text: str) -> str:
        return text

    def raised(self, exponent: str) -> str:
        return f"^{exponent}"

    def root(self, radicand: Expr) -> Drawn:
        return self.apply("sqrt", [self.draw(radicand).text])
