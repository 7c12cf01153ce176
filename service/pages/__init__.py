"""Pages that people see, drawn on the server: they work without JavaScript and keep no cookies."""
