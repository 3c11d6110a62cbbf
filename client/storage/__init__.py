"""Streams on this side: the cache, and the prefixes that grow."""
