"""`python -m keras_gen`, and the script `keras-gen`."""

import sys


def run() -> None:
    """Runs the command line and ends the process; the word `export` goes to the exporter, which stands above."""
    if sys.argv[1:2] == ["export"]:
        from export.cli import main

        sys.exit(main(sys.argv[2:], program="keras_gen export"))
    from keras_gen.cli.main import main

    sys.exit(main())


if __name__ == "__main__":
    run()
