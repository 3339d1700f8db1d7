"""`python -m bpcli`, and the console script `bpcli`."""

import os
import sys

OUTPUT_ENCODING = "BPCLI_OUTPUT_ENCODING"
"""The variable by which a process that starts itself anew remembers how the terminal writes characters."""


def main() -> None:
    """Runs the command line and exits with its code."""
    code = 130
    # OpenBLAS's threads sleep 2^10 cycles after a product, not 2^26: as fast on a machine that is idle, and less
    # processor; it is read when NumPy is imported
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "10")
    try:
        name_files_in_utf8()
        from bpcli.cli.interruption import ignore_interrupts, was_interrupted, watch_interrupts

        watch_interrupts()
        try:
            from bpcli.cli.app import run

            code = run()
        except Exception:
            if not was_interrupted():
                raise
        ignore_interrupts()
    except KeyboardInterrupt:  # while it was being loaded
        code = 130
    sys.exit(code)


def name_files_in_utf8() -> None:
    """Sees to it that a name of a file is the same text in every locale: one that a config or a run folder holds is
    UTF-8. Where Python would take it for another encoding (LC_ALL=C without UTF-8 mode, ISO-8859-1), the process starts
    itself anew in UTF-8 mode; what is written to stdout and stderr stays in the encoding of the terminal."""
    encoding = os.environ.pop(OUTPUT_ENCODING, "")
    if encoding:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # None where it is closed
                stream.reconfigure(encoding=encoding)
        return
    if sys.getfilesystemencoding().lower() in ("utf-8", "utf8") or not sys.executable:
        return
    stream = sys.stdout or sys.stderr
    encoding = getattr(stream, "encoding", None) or "ascii"
    # the variable for the programs that are started from here, the option in case variables are ignored (-I)
    environment = {**os.environ, "PYTHONUTF8": "1", OUTPUT_ENCODING: encoding}
    try:
        os.execve(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]], environment)
    except OSError:
        return  # names in ASCII work here too


if __name__ == "__main__":
    main()
