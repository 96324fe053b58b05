"""Plain functions of tensors that models share."""

from keras_gen.errors import check_backend

check_backend()
