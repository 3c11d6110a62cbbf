"""The far end: its address, how to get in, and its streams over WebSocket or HTTP."""
