"""Serves the viewer on this machine for a remote sender."""
