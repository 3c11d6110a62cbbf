"""Threads for what must not run on the event loop."""
