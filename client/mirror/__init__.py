"""Mirrors: folders that hold the streams of a sender and follow its changes."""
