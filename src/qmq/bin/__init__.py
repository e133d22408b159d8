"""The programs: each reads its arguments, builds what they ask for and runs it."""
