"""The keys of clients: storing them hashed, telling whose a credential is, and how much each may do."""
