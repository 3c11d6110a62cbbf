"""The commands of ``diffc-client``, and what a terminal shows."""
