"""Settings changed in the text of a config: what is not changed stays as it is written, comments and all."""

from collections.abc import Sequence

from bpcli.config.document import LINE_BREAK, Document, YamlNode


def edit(document: Document, sets: Sequence[str]) -> str:
    """Returns the document's text with the values of these settings, each `path.to.key=value` as behind `--set`, in
    the place of those that stand there. Raises KeyError where no such value stands in the text, or it is a mapping or
    a list: there is nothing that could be replaced."""
    text = document.source.text
    starts = [0, *(found.end() for found in LINE_BREAK.finditer(text))]
    changes: dict[tuple[int, int], str] = {}
    for one in sets:
        path, _, value = one.partition("=")
        at = _scalar(document, path).position
        start = starts[at.line - 1] + at.column - 1
        changes[start, start + at.width] = value
    for (start, stop), value in sorted(changes.items(), reverse=True):
        text = text[:start] + value + text[stop:]
    return text


def _scalar(document: Document, path: str) -> YamlNode:
    """Returns the single value under a path that stands on one line of the text."""
    node: YamlNode | None = document.root
    for step in path.split("."):
        if node is not None:
            node = node.child(int(step) if isinstance(node.value, list) and step.isdecimal() else step)
    if node is None or isinstance(node.value, dict | list) or not node.position.whole or not node.position.width:
        raise KeyError(path)
    return node
