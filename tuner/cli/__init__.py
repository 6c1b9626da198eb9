"""The command line: `tune`. Parses, calls a workflow, prints; nothing is decided here."""
