-- The deliveries of one endpoint and one order key are in one total order: by (sequence, position). An endpoint may hear
-- several audiences, and each audience counts its own `sequence`: two events of one key can have the same one. Compared by
-- `sequence` alone the second waited for the first, the end of the first released only what had a higher `sequence`, and
-- so the second and everything behind it waited for ever.

-- The order of a key at an endpoint, as all three functions below ask for it.
DROP INDEX ix_deliveries_order;
CREATE INDEX ix_deliveries_order ON deliveries (endpoint_id, order_key, sequence, position) WHERE state = 'pending';

-- What waits without a due time, by the moment at which it was queued: for the worker, which looks whether it waits for
-- anything.
CREATE INDEX ix_deliveries_waiting ON deliveries (id) WHERE state = 'pending' AND due_at IS NULL;

-- Queue events for endpoints. The first of a key is due at once if no delivery before it is pending; the others wait.
CREATE OR REPLACE FUNCTION app.queue_deliveries(p_endpoints uuid[], p_events uuid[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE v_made integer;
BEGIN
  WITH wanted AS MATERIALIZED (
    SELECT v.*, w.id AS endpoint_id, w.org_id,
           row_number() OVER (PARTITION BY w.id, v.order_key ORDER BY v.sequence, v.position) AS place
      FROM unnest(p_endpoints, p_events) AS x (endpoint_id, event_id)
      JOIN webhook_endpoints w ON w.id = x.endpoint_id
     CROSS JOIN LATERAL (SELECT b.* FROM events b WHERE b.id = x.event_id OFFSET 0) v
  )
  INSERT INTO deliveries (id, endpoint_id, org_id, event_id, event_type, order_key, sequence, position, lane, due_at)
  SELECT app.uuid7(), w.endpoint_id, w.org_id, w.id, w.type, w.order_key, w.sequence, w.position, w.lane,
         CASE WHEN w.lane = 'safety' OR (w.place = 1 AND p.pending IS NULL) THEN clock_timestamp() END
    FROM wanted w
    LEFT JOIN LATERAL (
      SELECT true AS pending FROM deliveries d
       WHERE d.endpoint_id = w.endpoint_id AND d.order_key = w.order_key
         AND (d.sequence, d.position) < (w.sequence, w.position)
         AND d.state = 'pending' AND NOT d.replay
       ORDER BY d.sequence DESC, d.position DESC LIMIT 1 FOR SHARE SKIP LOCKED) p ON true
   ORDER BY w.position;
  GET DIAGNOSTICS v_made = ROW_COUNT;
  RETURN v_made;
END $$;

-- What ends releases what waited for it: the next in the order of the key.
CREATE OR REPLACE FUNCTION app.release_successor() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE v_next uuid;
BEGIN
  SELECT d.id INTO v_next FROM deliveries d
   WHERE d.endpoint_id = NEW.endpoint_id AND d.order_key = NEW.order_key
     AND (d.sequence, d.position) > (NEW.sequence, NEW.position)
     AND d.state = 'pending' AND d.due_at IS NULL
   ORDER BY d.sequence, d.position LIMIT 1;
  IF FOUND THEN UPDATE deliveries SET due_at = clock_timestamp() WHERE id = v_next; END IF;
  RETURN NULL;
END $$;

-- Claim due deliveries: as before, but that the order is by (sequence, position).
CREATE OR REPLACE FUNCTION app.claim_deliveries(p_worker uuid, p_lane text, p_most integer, p_lease double precision,
  p_endpoints uuid[], p_lows timestamptz[], p_since timestamptz)
RETURNS TABLE (
  delivery_id uuid, endpoint_id uuid, org_id uuid, event_id uuid, event_type text, lane text, attempts integer,
  age double precision, body bytea, url text, signatures text[], secret_sealed bytea, private_key_sealed bytea,
  old_secret_sealed bytea, old_private_key_sealed bytea, low timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
  v_lease interval := make_interval(secs => p_lease);
  v_left integer := p_most; v_again double precision;
  v_endpoints uuid[] := p_endpoints; v_lows timestamptz[] := p_lows; v_found uuid[]; v_since timestamptz[];
  v_endpoint uuid; v_low timestamptz; v_free integer; v_burst integer; v_step interval; v_sees uuid[]; v_taken integer;
  e webhook_endpoints%ROWTYPE;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  IF p_since IS NOT NULL THEN
    SELECT array_agg(x.endpoint_id ORDER BY x.since), array_agg(x.since ORDER BY x.since) INTO v_found, v_since
      FROM (SELECT i.endpoint_id, min(i.due_at) AS since FROM (
              SELECT d.endpoint_id, d.due_at FROM deliveries d
               WHERE d.state = 'pending' AND d.due_at IS NOT NULL AND d.lane || '' = p_lane
                 AND d.due_at AT TIME ZONE 'UTC' > p_since AT TIME ZONE 'UTC'
                 AND d.due_at AT TIME ZONE 'UTC' <= v_now AT TIME ZONE 'UTC'
               ORDER BY d.due_at AT TIME ZONE 'UTC' OFFSET 0) i GROUP BY i.endpoint_id) x;
    IF v_found IS NOT NULL THEN
      RETURN QUERY SELECT NULL::uuid, x.f, NULL::uuid, NULL::uuid, 'found', NULL::text, NULL::integer, NULL::double precision,
        NULL::bytea, NULL::text, NULL::text[], NULL::bytea, NULL::bytea, NULL::bytea, NULL::bytea, x.s
        FROM unnest(v_found, v_since) x (f, s);
      SELECT v_endpoints || array_agg(x.f ORDER BY x.s), v_lows || array_agg(x.s ORDER BY x.s) INTO v_endpoints, v_lows
        FROM unnest(v_found, v_since) x (f, s) WHERE x.f <> ALL (v_endpoints) HAVING count(*) > 0;
      IF v_endpoints IS NULL THEN v_endpoints := p_endpoints; v_lows := p_lows; END IF;
    END IF;
  END IF;
  FOR i IN 1 .. cardinality(v_endpoints) LOOP
    EXIT WHEN v_left <= 0;
    v_endpoint := v_endpoints[i];
    SELECT d.due_at INTO v_low FROM deliveries d
     WHERE d.state = 'pending' AND d.due_at IS NOT NULL AND d.lane = p_lane AND d.endpoint_id = v_endpoint
       AND d.due_at >= v_lows[i] AND d.due_at <= v_now
     ORDER BY d.due_at LIMIT 1;
    RETURN QUERY SELECT NULL::uuid, v_endpoint, NULL::uuid, NULL::uuid, 'seen', NULL::text, NULL::integer,
      NULL::double precision, NULL::bytea, NULL::text, NULL::text[], NULL::bytea, NULL::bytea, NULL::bytea, NULL::bytea, v_low;
    CONTINUE WHEN v_low IS NULL;
    SELECT w.* INTO e FROM webhook_endpoints w WHERE w.id = v_endpoint AND w.state = 'active'
       AND (p_lane = 'safety' OR w.slow_until IS NULL OR w.slow_until <= v_now)
       FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      IF EXISTS (SELECT 1 FROM webhook_endpoints w WHERE w.id = v_endpoint AND w.state = 'active'
                    AND (p_lane = 'safety' OR w.slow_until IS NULL OR w.slow_until <= v_now)) THEN
        v_again := 0.01;
      END IF;
      CONTINUE;
    END IF;
    -- Who holds a lease is due when it ends; nobody's lease lasts for longer than a minute beyond ours.
    -- In order, though only counted: for the sake of the index (see the end).
    SELECT CASE WHEN e.slow_level > 0 AND p_lane <> 'safety' THEN 1 ELSE e.concurrency END - count(*) INTO v_free FROM (
      SELECT 1 FROM deliveries d
       WHERE d.state = 'pending' AND d.due_at IS NOT NULL AND d.lane = p_lane AND d.endpoint_id = v_endpoint
         AND d.due_at > v_now AND d.due_at <= v_now + v_lease + interval '1 minute'
         AND d.leased_by IS NOT NULL AND d.leased_until > v_now
       ORDER BY d.due_at OFFSET 0) held;
    v_free := least(v_free, v_left);
    IF e.rate_per_second IS NOT NULL THEN
      -- The arrival times of a bucket (GCRA): on average the rate, at once at most a quarter of a second's worth.
      v_step := make_interval(secs => 1.0 / e.rate_per_second);
      v_burst := greatest(1, e.rate_per_second / 4);
      e.rate_next := greatest(e.rate_next, v_now - v_step * (v_burst - 1));
      IF p_lane <> 'safety' THEN
        v_free := least(v_free, floor(extract(epoch FROM v_now - e.rate_next) * e.rate_per_second)::integer + 1);
        v_again := least(v_again, greatest(0.02, 1.0 / e.rate_per_second));
      END IF;
    END IF;
    CONTINUE WHEN v_free <= 0;
    v_sees := CASE WHEN EXISTS (SELECT 1 FROM organisations o WHERE o.id = e.org_id AND o.status = 'active')
                   THEN app.schools_of(e.org_id) || e.org_id ELSE '{}'::uuid[] END;  -- as app.may_see, once for all
    RETURN QUERY
    WITH heads AS MATERIALIZED (
      SELECT d.id, d.event_id, d.event_type FROM deliveries d
       WHERE d.state = 'pending' AND d.due_at IS NOT NULL AND d.lane = p_lane AND d.endpoint_id = v_endpoint
         AND d.due_at >= v_low AND d.due_at <= v_now AND (d.leased_until IS NULL OR d.leased_until <= v_now)
         AND (p_lane = 'safety' OR d.replay OR NOT EXISTS (
               SELECT 1 FROM deliveries p WHERE p.endpoint_id = v_endpoint AND p.order_key = d.order_key
                  AND (p.sequence, p.position) < (d.sequence, d.position) AND p.state = 'pending' AND NOT p.replay))
       ORDER BY d.due_at LIMIT v_free FOR UPDATE SKIP LOCKED
    ), judged AS MATERIALIZED (
      SELECT h.id, v.body,
             CASE WHEN v.id IS NULL THEN 'cancelled'
                  WHEN v.audience_id = ANY (v_sees) OR h.event_type = 'grant.revoked' THEN 'pending'
                  ELSE 'revoked' END AS fate
        FROM heads h
        LEFT JOIN LATERAL (SELECT b.id, b.body, b.audience_id FROM events b WHERE b.id = h.event_id OFFSET 0) v ON true
    ), dropped AS (
      UPDATE deliveries d SET state = j.fate, ended_at = v_now, due_at = NULL, leased_by = NULL, leased_until = NULL,
             last_error = CASE j.fate WHEN 'cancelled' THEN 'The event is older than what is kept.' END
        FROM judged j
       WHERE d.id = ANY (ARRAY(SELECT id FROM judged WHERE fate <> 'pending')) AND j.id = d.id
    ), taken AS (
      UPDATE deliveries d SET leased_by = p_worker, leased_until = v_now + v_lease, due_at = v_now + v_lease
        FROM judged j
       WHERE d.id = ANY (ARRAY(SELECT id FROM judged WHERE fate = 'pending')) AND j.id = d.id
      RETURNING d.id, d.org_id, d.event_id, d.event_type, d.lane, d.attempts, d.created_at, d.position, j.body
    )
    SELECT t.id, v_endpoint, t.org_id, t.event_id, t.event_type, t.lane, t.attempts,
           extract(epoch FROM v_now - t.created_at)::double precision, t.body, e.url, e.signatures, e.secret_sealed,
           e.private_key_sealed,
           CASE WHEN e.old_until > v_now THEN e.old_secret_sealed END,
           CASE WHEN e.old_until > v_now THEN e.old_private_key_sealed END, NULL::timestamptz
      FROM taken t ORDER BY t.position;
    GET DIAGNOSTICS v_taken = ROW_COUNT;
    v_left := v_left - v_taken;
    IF e.rate_per_second IS NOT NULL AND v_taken > 0 THEN
      UPDATE webhook_endpoints w SET rate_next = e.rate_next + v_step * v_taken WHERE w.id = v_endpoint;
    END IF;
  END LOOP;
  RETURN QUERY SELECT NULL::uuid, NULL::uuid, NULL::uuid, NULL::uuid, 'looked', NULL::text, NULL::integer, v_again,
    NULL::bytea, NULL::text, NULL::text[], NULL::bytea, NULL::bytea, NULL::bytea, NULL::bytea,
    CASE WHEN p_since IS NOT NULL THEN v_now END;
END $$;

-- As before: few rows by their keys, whatever the statistics say; deliveries in the order of their index; no JIT.
DO $$
DECLARE f text; o text;
BEGIN
  FOREACH f IN ARRAY ARRAY[
    'queue_deliveries(uuid[], uuid[])', 'release_successor()',
    'claim_deliveries(uuid, text, integer, double precision, uuid[], timestamptz[], timestamptz)'] LOOP
    FOREACH o IN ARRAY ARRAY['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'] LOOP
      EXECUTE format('ALTER FUNCTION app.%s SET %s = off', f, o);
    END LOOP;
  END LOOP;
END $$;
ALTER FUNCTION app.claim_deliveries(uuid, text, integer, double precision, uuid[], timestamptz[], timestamptz) SET enable_sort = off;

-- What waits today for nothing at all becomes due; what waits behind it follows, one after the other.
UPDATE deliveries d SET due_at = clock_timestamp()
 WHERE d.state = 'pending' AND d.due_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM deliveries p
                    WHERE p.endpoint_id = d.endpoint_id AND p.order_key = d.order_key
                      AND (p.sequence, p.position) < (d.sequence, d.position) AND p.state = 'pending' AND NOT p.replay);
SELECT pg_notify('tendays_feed', '');
