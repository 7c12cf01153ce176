"""What readers ask us to remind them of: how it is set, confirmed, moved on, repeated and ended."""
