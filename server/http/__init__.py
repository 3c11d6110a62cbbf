"""Plain HTTP: streams and ranges of them, the viewer, comparisons."""
