"""Models that make an image of an image."""
