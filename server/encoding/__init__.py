"""From files to streams: sources, encoder slots, threads, streams that grow."""
