"""`python -m bpcli`, and the console script `bpcli`."""

import sys


def main() -> None:
    """Runs the command line and exits with its code."""
    from bpcli.cli.app import run

    sys.exit(run())


if __name__ == "__main__":
    main()
