"""`python -m bpcli`, and the console script `bpcli`."""

import sys


def main() -> None:
    """Runs the command line and exits with its code."""
    try:
        from bpcli.cli.app import run

        code = run()
    except KeyboardInterrupt:  # while it was being loaded
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
