"""Access control: which clients are admitted, and their limits."""
