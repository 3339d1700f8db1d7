"""`python -m bpcli`, and the console script `bpcli`."""

import sys


def main() -> None:
    """Runs the command line and exits with its code."""
    code = 130
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
