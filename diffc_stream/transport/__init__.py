"""The floor below both daemons: sockets, TLS, WebSockets, tokens, locks, signals, logs, settings.

Here is what knows of the network, of an event loop, or of running as a daemon, each once.  Server,
client and benchmarks stand on it; of the library nothing does, so that streams and sessions can be
had without any of it.
"""
