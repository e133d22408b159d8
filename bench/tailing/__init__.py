"""Where the slowest calls wait: what notes it, in q and beside it, and what makes sense of it."""
