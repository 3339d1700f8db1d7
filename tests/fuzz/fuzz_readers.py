"""Coverage-guided fuzzing of one reader, by atheris (the extra `dev`): `python tests/fuzz/fuzz_readers.py --help`.

An input that makes a reader raise anything but a Failure is written beside the corpus and ends the run; it becomes a
test in test_readers.py once it is mended.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from random import Random

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]
LIBRARIES = ["bpcli", "yaml", "zipfile", "csv", "gzip", "numpy.lib", "PIL"]
"""Whose branches count, beside those of the reader itself."""

with atheris.instrument_imports(include=LIBRARIES):
    import PIL.Image
    from hostile.readers import READERS, Reader

    PIL.Image.init()  # which imports what reads each format

MAX_BYTES = 1 << 16  # of an input
MEMORY = 1536  # megabytes
SECONDS = 10  # of one input


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fuzzes one reader, guided by the branches that inputs take.")
    parser.add_argument("reader", choices=[r.name for r in READERS])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, help="folder that inputs are kept in; default: one that is thrown away")
    parser.add_argument("--input", type=Path, help="read this file alone, once")
    return parser.parse_args()


def fuzz(reader: Reader, options: argparse.Namespace, folder: Path) -> None:
    """Never returns: the fuzzer ends the process."""
    work, corpus = folder / "work", options.corpus or folder / "corpus"
    for made in (work, corpus):
        made.mkdir(parents=True, exist_ok=True)
    seed = reader.seed(work)
    assert reader.run(work, seed), "the seed has to be good"
    (corpus / "seed").write_bytes(seed)
    if options.input is not None:
        sys.stdout.write("taken\n" if reader.run(work, options.input.read_bytes()) else "refused\n")
        return

    def mutate(data: bytes, most: int, number: int) -> bytes:
        """Half of the time a change that knows the format."""
        rng = Random(number)
        if rng.random() < 0.5:
            try:
                return reader.change(rng, data)[:most]
            except Exception:  # what was changed already may not be of the format any more
                pass
        return bytes(atheris.Mutate(data, most))

    words = [f"-max_total_time={options.seconds}", f"-max_len={MAX_BYTES}", f"-rss_limit_mb={MEMORY}"]
    words += [f"-timeout={SECONDS}", f"-artifact_prefix={corpus}/../{reader.name}-", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *words, str(corpus)], lambda data: reader.run(work, data), custom_mutator=mutate)
    atheris.Fuzz()


def main() -> None:
    options = arguments()
    reader = next(r for r in READERS if r.name == options.reader)
    with tempfile.TemporaryDirectory() as folder:
        fuzz(reader, options, Path(folder))


if __name__ == "__main__":
    main()
