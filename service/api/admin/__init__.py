"""Routes for newsroom staff."""
