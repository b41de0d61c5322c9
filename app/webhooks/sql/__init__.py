"""The statements of webhooks: `endpoints` and `deliveries` for whoever owns them, `queue` for the worker."""
