"""How readers come to their own page: a link by mail that opens once, and then a session."""
