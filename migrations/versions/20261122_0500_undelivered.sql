-- Safety deliveries that nobody has been told about: few at any time, found without reading through the queue.
CREATE INDEX ix_deliveries_unraised ON deliveries (created_at)
  WHERE lane = 'safety' AND state = 'pending' AND undelivered_raised_at IS NULL;
-- Those that have been raised, as their organisation lists them.
CREATE INDEX ix_deliveries_undelivered ON deliveries (org_id, id) WHERE undelivered_raised_at IS NOT NULL;
