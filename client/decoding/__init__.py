"""From bytes to pictures, on worker threads."""
