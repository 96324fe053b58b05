"""Plain functions of tensors that models share."""
