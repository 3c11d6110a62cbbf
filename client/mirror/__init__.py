"""Folders that follow senders."""
