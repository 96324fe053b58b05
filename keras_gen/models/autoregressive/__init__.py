"""Each value given those before it: exact likelihoods."""
