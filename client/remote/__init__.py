"""Senders: their addresses, credentials, and connections over WebSocket or HTTP."""
