"""Employers: sites, contacts, insurance cover, approvals and who accepts them, suspensions, and barred sites."""
