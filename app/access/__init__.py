"""Who may come in: clients, secrets, short signed tokens, scopes and rates."""
