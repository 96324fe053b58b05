"""`python -m keras_gen`, and the script `keras-gen`."""

import sys


def run() -> None:
    """Runs the command line and ends the process; the word `export` goes to the exporter, which stands above."""
    debug = [word for word in sys.argv[1:2] if word == "--debug"]
    command, *rest = sys.argv[1 + len(debug) :] or [""]
    if command == "export":
        from export.cli import main

        sys.exit(main([*rest, *debug], program="keras_gen export"))
    from keras_gen.cli.main import main

    sys.exit(main())


if __name__ == "__main__":
    run()
