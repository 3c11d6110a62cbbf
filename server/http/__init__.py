"""Plain HTTP requests: streams and ranges of them, the viewer, comparisons."""
