"""qcli, the command-line client: what it accepts, what it asks, what it prints."""
