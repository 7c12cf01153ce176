"""Groups of the `mainstay` command that have a file of their own."""
