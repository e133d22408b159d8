"""The CLUSTER store: PostgreSQL, shared by any number of q processes, one of which leads."""
