-- The public half of the pair that a rotation leaves signing for its days of grace.
ALTER TABLE webhook_endpoints ADD COLUMN old_public_key TEXT;

-- What anybody may know of an endpoint: the keys that verify its `v1a` signatures at this moment, the newest first.
-- Asked without a caller; an endpoint that is off, gone, or signs otherwise has none, like one that never was.
CREATE FUNCTION app.webhook_keys(p_endpoint uuid) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT array_remove(ARRAY[w.public_key, CASE WHEN w.old_until > clock_timestamp() THEN w.old_public_key END], NULL)
    FROM webhook_endpoints w
   WHERE w.id = p_endpoint AND w.state <> 'off' AND 'v1a' = ANY (w.signatures) AND w.public_key IS NOT NULL
$$;
REVOKE ALL ON FUNCTION app.webhook_keys(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.webhook_keys(uuid) TO tendays_app;
