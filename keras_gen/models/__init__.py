"""One file, one class, one paper; a family is a folder with its base."""
