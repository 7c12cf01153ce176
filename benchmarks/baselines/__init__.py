"""The alternatives that Mainstay is compared with: each does the least that could replace it."""
