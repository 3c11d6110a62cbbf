"""The viewer for a sender that is far away."""
