"""The CLUSTER store: in PostgreSQL, which any number of q processes share, one of which leads."""
