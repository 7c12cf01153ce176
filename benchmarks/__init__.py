"""What `make bench` measures: the hot paths beside bare routes that do the least that could be called the same."""
