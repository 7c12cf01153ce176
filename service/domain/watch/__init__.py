"""How the desk stands, for those who watch over it."""
