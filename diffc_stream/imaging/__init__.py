"""Read what Pillow does not: the colour spaces that files state, and some kinds of files."""


class Unsupported(ValueError):
    """A picture of a kind that is not read, or damaged; ``str`` is one line, without its name."""
