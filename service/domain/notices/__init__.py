"""Mails to whoever gives, each told once."""
