"""Streams that were computed before: in memory, in a folder, in an object store."""
