"""qcli, the command-line client: its commands, the calls they make, and what they print."""
