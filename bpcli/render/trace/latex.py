r"""A derivation as a LaTeX document that stands alone: article, amsmath, and nothing that a small TeX lacks."""

import re
from collections.abc import Iterable, Iterator

from bpcli.records.trace import Derivation, Worksheet
from bpcli.render.trace import blocks
from bpcli.render.trace.blocks import Code, InlineText, WorkedLine
from bpcli.render.trace.document import document
from bpcli.render.trace.maths import visible_width
from bpcli.render.trace.outline import title

ROWS_PER_PAGE = 30  # rows of a table that stand on one page
MAX_ENTRY_CHARACTERS = 72  # characters of a worked entry that stands on one line

_PREAMBLE = r"""\documentclass[11pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[margin=25mm]{geometry}
\usepackage{amsmath,array,graphicx}
\IfFileExists{booktabs.sty}{\usepackage{booktabs}}{\let\toprule\hline\let\midrule\hline\let\bottomrule\hline}
\setlength{\parindent}{0pt}
\setlength{\parskip}{5pt plus 2pt}
\allowdisplaybreaks
\raggedbottom
\raggedright
% \fit: a box that is made smaller if it is wider than the line.
\newsavebox{\wide}
\newcommand{\fit}[1]{\sbox{\wide}{#1}\ifdim\wd\wide>\dimexpr\linewidth-1em\relax
  \resizebox{\dimexpr\linewidth-1em\relax}{!}{\usebox{\wide}}\else\usebox{\wide}\fi}
\newcommand{\formula}[1]{\[\fit{$\displaystyle #1$}\]\nopagebreak}
% \entry: a worked line, what there is to say about it, and its name at the right, in the next line if there is no room.
% \longentry: the same of one that takes several lines.
\newcommand{\entry}[3]{\par{\rightskip=0pt plus 1fil\hspace*{1em}\fit{$\displaystyle #1$}%
  \if\relax\detokenize{#2}\relax\else\hspace{1em}{\small\itshape #2}\fi\named{#3}}}
\newcommand{\longentry}[3]{\par\hspace*{1em}\fit{$\displaystyle #1$}\par\nopagebreak
  {\rightskip=0pt plus 1fil\hspace*{1em}{\small\itshape #2}\named{#3}}}
\newcommand{\named}[1]{\unskip\nobreak\hfill\penalty50\hskip1.5em\hbox{}\nobreak\hfill\hbox{\footnotesize\ttfamily #1}%
  \parfillskip=0pt\finalhyphendemerits=0\par}
\newcommand{\blank}[1]{\underline{\hspace{#1}}}
"""

_SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": "$<$", ">": "$>$", "|": r"$|$",
    '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
    "−": "$-$", "→": r"$\to$", "·": r"$\cdot$", "×": r"$\times$", "≤": r"$\le$", "≥": r"$\ge$", "≠": r"$\ne$",
    "≈": r"$\approx$", "∞": r"$\infty$", "∂": r"$\partial$", "√": r"$\surd$", "Σ": r"$\Sigma$", "Π": r"$\Pi$",
    "⌊": r"$\lfloor$", "⌋": r"$\rfloor$", "…": r"\dots{}", "²": "$^2$", "⁺": "$^+$", "°": r"$^\circ$",
    "\u0302": r"$\hat{\ }$",
    **{c: f"$^{i}$" for i, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}, **{c: f"$_{i}$" for i, c in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    **{c: rf"$\{name}$" for name, c in {
        "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "varepsilon": "ε", "eta": "η", "theta": "θ",
        "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "Phi": "Φ",
        "varphi": "φ", "psi": "ψ", "omega": "ω",
    }.items()},
}  # fmt: skip


def latex(source: Derivation | Worksheet) -> str:
    """Returns the LaTeX document of a derivation or a worksheet, with a newline at its end."""
    return latex_page(title(source), document(source))


def latex_page(title: str, content: Iterable[blocks.PageBlock]) -> str:
    """Returns blocks under a title as a LaTeX document, with a newline at its end."""
    head = "\\begin{document}\n" + rf"{{\LARGE\bfseries {_plain(title)}\par}}\bigskip" + "\n"
    body = "\n\n".join(b for b in map(_block, content) if b)
    return f"{_PREAMBLE}{head}\n{body}\n\n\\end{{document}}\n"


def _block(block: blocks.PageBlock) -> str:
    match block:
        case blocks.Heading(level=0, words=words):
            return rf"\clearpage\setcounter{{section}}{{0}}{{\LARGE {_words(words)}\par}}"
        case blocks.Heading(level=1, words=words, number=number):
            return rf"\section{'' if number else '*'}{{{_words(words)}}}"
        case blocks.Heading(words=words):
            return rf"\subsection*{{{_words(words)}}}"
        case blocks.Paragraph(words=words, lead=lead):
            head = rf"\medskip\textbf{{{_words(lead)}}}" if lead else ""
            text = r"\quad ".join(filter(None, (head, _words(words))))
            return rf"{text}\par\nopagebreak" if lead else text
        case blocks.HeaderBlock(rows=rows):
            items = "\n".join(rf"{_plain(name)} & {_plain(text)} \\" for name, text in rows)
            columns = r"@{}>{\bfseries}l>{\raggedright\arraybackslash}p{0.8\linewidth}@{}"
            return f"\\begin{{tabular}}{{{columns}}}\n{items}\n\\end{{tabular}}\\par\\medskip"
        case blocks.TableBlock(head=head, rows=rows, right=right):
            pages = [rows[i : i + ROWS_PER_PAGE] for i in range(0, len(rows), ROWS_PER_PAGE)]
            return "\n\n".join(_table(head, page, right) for page in pages)
        case blocks.Formula(math=math):
            return rf"\formula{{{math}}}"
        case blocks.Figures(name=name, note=note, formulas=formulas, more=more):
            about = _plain(name) + (rf"\quad\rmfamily {_plain(note)}" if note else "")
            last = [
                f"and {more:,} more slices" if more and i == len(formulas) else "" for i in range(1, len(formulas) + 1)
            ]
            return "\n".join(rf"\entry{{{m}}}{{{n}}}{{{about}}}" for m, n in zip(formulas, last, strict=True))
        case blocks.WorkedLines(lines=lines):
            return "\n".join(_lines(lines))
        case blocks.Command(text=text):
            return rf"\begin{{quote}}{_code(text)}\end{{quote}}"


def _lines(lines: tuple[WorkedLine, ...]) -> Iterator[str]:
    for line in lines:
        math = _worked(line)
        macro = r"\longentry" if "aligned" in math else r"\entry"
        yield f"{macro}{{{math}}}{{{_plain('; '.join(line.notes))}}}{{{_plain(line.name)}}}"


def _worked(line: WorkedLine) -> str:
    """Returns a worked entry on one line, or on two if it is long, or with room to write."""
    if line.blank is not None:
        number = rf"\;({line.blank})" if line.blank else ""
        return rf"{line.left} = \blank{{5cm}} = \blank{{2.5cm}}{number}"
    if not line.numbers:
        return f"{line.left} {line.sign} {line.result}"
    if "aligned" not in line.numbers and visible_width(line.left + line.numbers + line.result) <= MAX_ENTRY_CHARACTERS:
        return f"{line.left} = {line.numbers} {line.sign} {line.result}"
    return rf"\begin{{aligned}}[t] {line.left} &= {line.numbers} \\ &{line.sign} {line.result} \end{{aligned}}"


def _table(head: tuple[InlineText, ...], rows: tuple[tuple[InlineText, ...], ...], right: frozenset[int]) -> str:
    columns = "".join("r" if i in right else "l" for i in range(len(head)))

    def row(cells: tuple[InlineText, ...]) -> str:
        return " & ".join(_words(c) for c in cells) + r" \\"

    top = [row(head), r"\midrule"] if any(_words(h) for h in head) else []
    inside = "\n".join([r"\toprule", *top, *map(row, rows), r"\bottomrule"])
    return (
        f"\\begin{{center}}\\small\\fit{{\\begin{{tabular}}{{{columns}}}\n{inside}\n\\end{{tabular}}}}\\end{{center}}"
    )


def _words(words: InlineText) -> str:
    return "".join(_code(w.text) if isinstance(w, Code) else _plain(w) for w in words)


def _code(text: str) -> str:
    typed = _plain(text).replace("'", r"\textquotesingle{}")
    return rf"\texttt{{{typed}}}"


def _plain(text: str) -> str:
    """Returns words without what TeX would take for its own; a letter that its fonts lack, by its code point."""
    text = re.sub(r"\s+", " ", text)
    shown = "".join(_SIGNS.get(c) or (c if _known(c) else f"[U+{ord(c):04X}]") for c in text)
    return re.sub(r"([-,'])(?=\1)", r"\1{}", shown)  # which would become a dash or a quotation mark


def _known(c: str) -> bool:
    return " " <= c <= "~" or (c.isalpha() and "À" <= c <= "ž" and c not in "ĦħĸĿŀŉŦŧ")
