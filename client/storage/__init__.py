"""Streams that were received before."""
