"""Who may call: clients and their secrets, signing keys, tokens and their revocation, rate limits."""
