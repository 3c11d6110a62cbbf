"""Everything that reads from the network, fed with nonsense; for developers, and not installed."""
