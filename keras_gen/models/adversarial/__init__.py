"""Games of a generator against a discriminator."""
