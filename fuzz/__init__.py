"""The fuzzer of all parsers of network input; for developers, and not installed."""
