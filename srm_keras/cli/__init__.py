"""The command ``srm-keras``: one file a subcommand."""
