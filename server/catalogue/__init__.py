"""Which pictures there are, and what has changed."""
