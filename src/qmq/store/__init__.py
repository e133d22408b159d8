"""Where messages are kept: one protocol, several stores, one suite that each passes."""
