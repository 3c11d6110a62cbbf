"""Worker threads, for what would block the event loop."""
