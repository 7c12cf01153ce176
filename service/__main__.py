"""`python -m service` is the `mainstay` command, where no script is installed, as on Heroku."""

from service.cli import main

main()
