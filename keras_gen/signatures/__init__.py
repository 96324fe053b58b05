"""The contract of a model with files and with batches. Importing it needs numpy alone."""
