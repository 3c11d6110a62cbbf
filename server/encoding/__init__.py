"""From files to streams: sources, encoder slots, and the shared streams that grow."""
