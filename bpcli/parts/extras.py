"""Packages that only some things need: the extras of the installation."""

from bpcli.records.training import Failure, Problem


def not_installed(package: str, extra: str, what: str) -> Failure:
    """Returns the Failure for `what` (a few words: "reading images") where its package is not installed."""
    text = f"{what} needs {package}, which is not installed"
    return Failure(Problem(text, code="missing-extra", help=f"install it: pip install 'bpcli[{extra}]'"))
