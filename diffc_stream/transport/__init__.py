"""What both daemons share: sockets, TLS, WebSockets, tokens, locks, signals, logs and settings.

Everything that has to do with the network, an event loop, or running as a daemon is here, once.
Server, client and benchmarks build on it.  Nothing else of the library does, so that programs can
use streams and sessions without any of this.
"""
