"""From bytes to pictures, on threads."""
