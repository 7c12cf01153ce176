"""The rules of the domain. They take a session and ports as arguments, never commit and import no framework."""
