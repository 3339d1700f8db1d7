"""An equation in presentation MathML, which browsers draw without a script."""

from collections.abc import Sequence
from typing import ClassVar

from bpcli.notation.reader import Drawn, Stacked
from bpcli.notation.symbols import Level, Symbol
from bpcli.notation.syntax import Expr

_COMMA = "<mo>,</mo>"
_APPLY = "<mo>&#x2061;</mo>"  # function application, not drawn
_TIMES = '<mo>&#x2062;</mo><mspace width="0.17em"/>'
_OPERATORS = {
    "sum": "<mo>∑</mo>",
    "prod": "<mo>∏</mo>",
    "max": "<mi>max</mi>",
    "min": "<mi>min</mi>",
    "argmax": "<mi>argmax</mi>",
}


def _op(sign: str) -> str:
    return f"<mo>{sign}</mo>"


def _row(inside: str) -> str:
    return f"<mrow>{inside}</mrow>"


class MathML(Stacked):
    """Draws equations in presentation MathML."""

    signs: ClassVar = {
        "+": _op("+"), "-": _op("−"), "%": "<mo>mod</mo>", "/": _op("/"), "...": "<mi>…</mi>",
        "neg": '<mo form="prefix">−</mo>',
        "==": _op("="), "!=": _op("≠"), ">": _op("&gt;"), "<": _op("&lt;"), ">=": _op("≥"), "<=": _op("≤"),
    }  # fmt: skip
    fences: ClassVar = {
        kind: (f'<mrow><mo fence="true">{left}</mo>', f'<mo fence="true">{right}</mo></mrow>')
        for kind, left, right in (("(", "(", ")"), ("[", "[", "]"), ("|", "|", "|"), ("floor", "⌊", "⌋"))
    }

    def symbol(self, symbol: Symbol, index: Sequence[str]) -> Drawn:
        name = f"<mi>{symbol.letter}</mi>"
        if symbol.hat:
            name = f'<mover accent="true">{name}<mo>^</mo></mover>'
        lowered = _COMMA.join([f"<mn>{symbol.digits}</mn>"] * bool(symbol.digits) + list(index))
        plus = symbol.new and not symbol.gradient
        raised = "<mn>2</mn>" * symbol.square + "<mo>+</mo>" * plus
        if lowered and raised:
            name = f"<msubsup>{name}{_row(lowered)}{_row(raised)}</msubsup>"
        elif lowered or raised:
            tag = "msub" if lowered else "msup"
            name = f"<{tag}>{name}{_row(lowered or raised)}</{tag}>"
        if symbol.gradient:
            slope = f"<mfrac><mrow><mi>∂</mi><mi>{self.of}</mi></mrow><mrow><mi>∂</mi>{name}</mrow></mfrac>"
            if symbol.new:
                return Drawn(f"<msup>{slope.join(self.fences['('])}<mo>+</mo></msup>", Level.POWER)
            return Drawn(slope, Level.FACTOR)
        return Drawn(name, Level.POWER if raised else Level.ATOM)

    def numeral(self, text: str) -> str:
        mantissa, e, exponent = text.partition("e")
        if e:
            power = f"<mo>−</mo><mn>{exponent[1:]}</mn>" if exponent.startswith("-") else f"<mn>{exponent}</mn>"
            times = "" if mantissa == "1" else f"<mn>{mantissa}</mn><mo>·</mo>"
            return f"{times}<msup><mn>10</mn>{_row(power)}</msup>"
        return "<mi>∞</mi>" if text == "inf" else f"<mn>{text}</mn>"

    def times(self, left: str, right: Drawn) -> str:
        return left + (_op("·") if right.lead == "0" or self.digits is not None else _TIMES) + right.text

    def stack(self, over: str, under: str) -> str:
        return f"<mfrac>{_row(over)}{_row(under)}</mfrac>"

    def power(self, base: str, exponent: Expr) -> Drawn:
        raised = _row(self.small(exponent).text)
        if base.startswith("<msub>") and base.endswith("</msub>"):  # one above the other
            return Drawn(f"<msubsup>{base[6:-7]}{raised}</msubsup>", Level.POWER)
        return Drawn(f"<msup>{_row(base)}{raised}</msup>", Level.POWER)

    def exponential(self, exponent: Expr) -> Drawn:
        return self.power("<mi>e</mi>", exponent)

    def root(self, radicand: Expr) -> Drawn:
        return Drawn(f"<msqrt>{self.draw(radicand).text}</msqrt>")

    def apply(self, fn: str, args: Sequence[str]) -> Drawn:
        return Drawn(f"<mi>{fn}</mi>{_APPLY}{_COMMA.join(args).join(self.fences['('])}")

    def big(self, fn: str, over: Sequence[str], body: str) -> str:
        return f"<munder>{_OPERATORS[fn]}{_row(_COMMA.join(over))}</munder>{_row(body)}"

    def percentile(self, rank: Expr, over: Sequence[str], values: Sequence[str]) -> Drawn:
        listed = values[0] + _op(":") + _COMMA.join(over) if over else _COMMA.join(values)
        return Drawn(f"<msub><mi>P</mi>{_row(self.draw(rank).text)}</msub>{listed.join(self.fences['('])}")

    def cases(self, rows: Sequence[tuple[str, str]], otherwise: str) -> Drawn:
        listed = [(value, f"<mtext>if&#xa0;</mtext>{condition}") for value, condition in rows]
        listed.append((otherwise, "<mtext>otherwise</mtext>"))
        cell = '<mtd style="text-align: left">'
        table = "".join(f"<mtr>{cell}{_row(v)}</mtd>{cell}{_row(c)}</mtd></mtr>" for v, c in listed)
        return Drawn(f'<mrow><mo fence="true">{{</mo><mtable>{table}</mtable></mrow>')

    def rest(self, count: str, value: str) -> Drawn:
        return Drawn(
            f"<munder><munder>{_row(value)}<mo>⏟</mo></munder>{_row(count + '<mtext>&#xa0;more</mtext>')}</munder>"
        )

    def labelled(self, label: str, value: str) -> str:
        return label + _op(":") + value
