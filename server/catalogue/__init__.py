"""The catalogue: the pictures in a folder, and how receivers learn of changes."""
