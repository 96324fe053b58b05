"""The command line: `python -m keras_gen COMMAND`."""
