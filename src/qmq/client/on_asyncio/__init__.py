"""What the asynchronous client is made of that the synchronous one has otherwise."""
