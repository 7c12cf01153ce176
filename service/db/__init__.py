"""Models, migrations, engine, sessions, column types and encryption, and no rules."""
