"""One file, one class, one paper."""
