"""The command ``moodbench``, and ``python -m moodbench``."""

from moodbench.leaving import leave_at_once

leave_at_once()  # before what takes longer to be imported


def main() -> None:
    """Run the command line."""
    from moodbench.cli import main as run

    run()


if __name__ == "__main__":
    main()
