"""What Pillow leaves to others: colour as files tell it, and files that it does not read."""


class Unsupported(ValueError):
    """A picture of a kind that is not read, or damaged; ``str`` is one line, without its name."""
