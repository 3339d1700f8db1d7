"""`python -m bpcli`, and the console script `bpcli`."""

import os
import sys


def main() -> None:
    """Runs the command line and exits with its code."""
    code = 130
    # OpenBLAS's threads sleep 2^10 cycles after a product, not 2^26: as fast on a machine that is idle, and less
    # processor; it is read when NumPy is imported
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "10")
    try:
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


if __name__ == "__main__":
    main()
