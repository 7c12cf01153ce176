"""Every rule of the house. It takes a session and ports as arguments, never commits, and knows no framework."""
