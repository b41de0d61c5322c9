"""Webhooks: endpoints, what is sent to them, how it is signed and how often it is tried."""
