"""Publish pictures as files that any web server or object store can serve, without a daemon."""
