"""Receivers' WebSockets: the handshake, the connection, and what is sent over it."""
