-- An endpoint's statistics read its own attempts of a week, and not those of its organisation's other endpoints.
-- In place of the index by organisation, which nothing used: an attempt costs what it did.
CREATE INDEX ix_attempts_endpoint_id ON attempts (endpoint_id, id);
DROP INDEX ix_attempts_org_id;
