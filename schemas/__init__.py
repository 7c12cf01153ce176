"""The wire: what a request and an answer look like, and the words that both sides share."""
