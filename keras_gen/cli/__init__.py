"""The command line: `python -m keras_gen list | train | sample`."""
