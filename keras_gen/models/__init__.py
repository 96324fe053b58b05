"""One file, one class, one paper; a family is a folder with its base."""

from keras_gen.errors import check_backend

check_backend()
