"""What the synchronous client is made of that the asynchronous one has otherwise."""
