"""Receivers' WebSockets: the opening, the connection, and what is sent over it."""
