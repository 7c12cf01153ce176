"""The subcommands of `mainstay`, one module per group."""
