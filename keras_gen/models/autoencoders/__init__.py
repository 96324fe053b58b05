"""A code, and a decoder that makes images of it."""
