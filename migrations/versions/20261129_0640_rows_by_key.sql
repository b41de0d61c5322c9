-- Rows are found by their keys, never by a walk. Statistics that were taken while a table was empty but not short
-- (its rows deleted, their pages still there) say that it has one row, and say so until the next time, however many there
-- are by then. To walk through an index of one row, then, looks as good as to ask it for a key, and a join with `id = id`
-- did so: each claim read everything that had ever been queued. What is given as an array or to a LATERAL is looked up.
-- The functions are otherwise those of the voice and of claims, but that a slowed-down endpoint is given one at a time of the
-- normal lane only: the safety lane waits for nothing.

CREATE OR REPLACE FUNCTION app.number_events(p_most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE s sequencer%ROWTYPE; v_more bigint; v_newest bigint; v_xmin bigint; v_xmax bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(7310001) THEN RETURN NULL; END IF;
  SELECT * INTO s FROM sequencer ORDER BY last DESC LIMIT 1 FOR UPDATE;
  -- A transaction takes a `seq` a moment before or after its own number: with a second between, it has both.
  v_xmin := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
  v_xmax := pg_snapshot_xmax(pg_current_snapshot())::text::bigint;
  SELECT last_value INTO v_newest FROM events_seq;
  IF s.low > v_newest THEN s.low := 0; s.marked_at := NULL; END IF;  -- restored without the sequence
  IF s.marked_at IS NULL OR s.mark_xid > v_xmax OR s.marked_at > clock_timestamp() THEN  -- new, or restored elsewhere
    s.mark := v_newest; s.mark_xid := NULL; s.marked_at := clock_timestamp();
  ELSIF s.mark_xid IS NULL AND s.marked_at < clock_timestamp() - interval '1 second' THEN
    s.mark_xid := v_xmax;
  ELSIF s.mark_xid <= v_xmin THEN
    -- What is there to be seen now is all there will be; what of it has no number yet is not passed over.
    SELECT least(s.mark, (SELECT min(u.seq) - 1 FROM (SELECT e.seq FROM events e
                            WHERE e.position IS NULL AND e.seq > s.low ORDER BY e.seq LIMIT 1) u)) INTO s.low;
    s.mark := v_newest; s.mark_xid := NULL; s.marked_at := clock_timestamp();
  END IF;
  WITH todo AS (
    SELECT id, row_number() OVER (ORDER BY seq) AS n
      FROM (SELECT id, seq FROM events WHERE position IS NULL AND seq > s.low ORDER BY seq LIMIT p_most) u
  ), done AS (
    UPDATE events e SET position = s.last + t.n, positioned_at = clock_timestamp() FROM todo t
     WHERE e.id = ANY (ARRAY(SELECT id FROM todo)) AND t.id = e.id
    RETURNING 1
  ) SELECT count(*) INTO v_more FROM done;
  IF v_more > 0 THEN
    UPDATE sequencer q SET last = s.last + v_more, low = s.low, mark = s.mark, mark_xid = s.mark_xid, marked_at = s.marked_at
     WHERE q.last = s.last;
    PERFORM pg_notify('tendays_feed', '');
  END IF;
  RETURN s.last + v_more;
END $$;

CREATE OR REPLACE FUNCTION app.claim_deliveries(p_worker uuid, p_lane text, p_most integer, p_lease double precision,
  p_endpoints uuid[], p_lows timestamptz[], p_since timestamptz)
RETURNS TABLE (
  delivery_id uuid, endpoint_id uuid, org_id uuid, event_id uuid, event_type text, lane text, attempts integer,
  age double precision, body bytea, url text, signatures text[], secret_sealed bytea, private_key_sealed bytea,
  old_secret_sealed bytea, old_private_key_sealed bytea, low timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
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
                  AND p.sequence < d.sequence AND p.state = 'pending' AND NOT p.replay))
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

CREATE OR REPLACE FUNCTION app.record_attempts(p_worker uuid, p_results jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_now timestamptz := clock_timestamp(); v_gone uuid[]; g uuid;
BEGIN
  WITH told AS MATERIALIZED (
    SELECT x.* FROM jsonb_to_recordset(p_results) AS x (
             id uuid, delivery_id uuid, at timestamptz, elapsed_ms integer, status integer, error text, headers jsonb,
             answer text, fate text, delay double precision)
  ), held AS MATERIALIZED (
    SELECT x.*, d.endpoint_id, d.org_id, d.attempts + 1 AS no, d.state, d.mine
      FROM (SELECT t.* FROM told t
             WHERE t.id <> ALL (ARRAY(SELECT a.id FROM attempts a
                                       WHERE a.id = ANY (ARRAY(SELECT id FROM told))))  -- said twice, done once
             ORDER BY t.delivery_id) x
     CROSS JOIN LATERAL (SELECT b.endpoint_id, b.org_id, b.attempts, b.state, coalesce(b.leased_by = p_worker, false) AS mine
                           FROM deliveries b WHERE b.id = x.delivery_id FOR UPDATE) d
  ), kept AS (
    INSERT INTO attempts (id, delivery_id, endpoint_id, org_id, no, at, elapsed_ms, status, error, request_headers,
                          response_body)
    SELECT h.id, h.delivery_id, h.endpoint_id, h.org_id, h.no, h.at, h.elapsed_ms, h.status, h.error, h.headers, h.answer
      FROM held h
  )
  UPDATE deliveries d
     SET attempts = h.no, last_status = h.status, last_error = h.error,
         state = CASE WHEN h.state = 'pending' AND (h.fate = 'delivered' OR (h.fate = 'failed' AND h.mine))
                      THEN h.fate ELSE h.state END,
         ended_at = CASE WHEN h.state = 'pending' AND (h.fate = 'delivered' OR (h.fate = 'failed' AND h.mine))
                         THEN v_now ELSE d.ended_at END,
         due_at = CASE WHEN h.state <> 'pending' OR h.fate = 'delivered' THEN NULL
                       WHEN NOT h.mine THEN d.due_at
                       WHEN h.fate = 'retry' THEN v_now + make_interval(secs => h.delay) END,
         leased_by = CASE WHEN h.mine OR h.fate = 'delivered' THEN NULL ELSE d.leased_by END,
         leased_until = CASE WHEN h.mine OR h.fate = 'delivered' THEN NULL ELSE d.leased_until END
    FROM held h
   WHERE d.id = ANY (ARRAY(SELECT delivery_id FROM held)) AND h.delivery_id = d.id;

  WITH held AS MATERIALIZED (
    SELECT w.id, r.well, r.slow
      FROM (SELECT x.endpoint_id, bool_or(x.fate = 'delivered') AS well, max(x.slow) AS slow
              FROM jsonb_to_recordset(p_results) AS x (endpoint_id uuid, fate text, slow double precision)
             GROUP BY x.endpoint_id) r
      JOIN webhook_endpoints w ON w.id = r.endpoint_id
     WHERE (r.well AND (w.failing_since IS NOT NULL OR w.slow_level > 0 OR w.last_success_at IS NULL
                        OR w.last_success_at < v_now - interval '1 minute'))
        OR (NOT r.well AND w.failing_since IS NULL) OR r.slow IS NOT NULL
     ORDER BY w.id FOR NO KEY UPDATE OF w
  )
  UPDATE webhook_endpoints w
     SET failing_since = CASE WHEN NOT h.well THEN coalesce(w.failing_since, v_now) END,
         warned = CASE WHEN h.well THEN 0 ELSE w.warned END,
         last_success_at = CASE WHEN h.well THEN v_now ELSE w.last_success_at END,
         slow_level = CASE WHEN h.slow IS NOT NULL THEN least(w.slow_level + 1, 8) WHEN h.well THEN 0
                           ELSE w.slow_level END,
         slow_until = CASE WHEN h.slow IS NOT NULL
                           THEN greatest(w.slow_until, v_now + make_interval(secs => greatest(h.slow, 2 ^ w.slow_level)))
                           WHEN h.well THEN NULL ELSE w.slow_until END
    FROM held h WHERE w.id = h.id;

  -- 410 Gone: off, if it speaks for one organisation or school only. What was fanned out waits for a way back.
  SELECT array_agg(DISTINCT w.id) INTO v_gone
    FROM jsonb_to_recordset(p_results) AS x (endpoint_id uuid, gone boolean)
    JOIN webhook_endpoints w ON w.id = x.endpoint_id JOIN organisations o ON o.id = w.org_id
   WHERE x.gone AND w.state <> 'off' AND (w.school_id IS NOT NULL OR o.kind IN ('school', 'employer'));
  FOREACH g IN ARRAY coalesce(v_gone, '{}') LOOP
    PERFORM app.switch_off_endpoint(g, 'gone');
  END LOOP;
END $$;

CREATE OR REPLACE FUNCTION app.renew_leases(p_worker uuid, p_deliveries uuid[], p_lease double precision) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_kept integer; v_until timestamptz := clock_timestamp() + make_interval(secs => p_lease);
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  WITH held AS MATERIALIZED (
    SELECT id FROM deliveries WHERE id = ANY (p_deliveries) AND leased_by = p_worker AND state = 'pending'
     ORDER BY id FOR UPDATE
  ) UPDATE deliveries d SET leased_until = v_until, due_at = v_until WHERE d.id = ANY (ARRAY(SELECT id FROM held));
  GET DIAGNOSTICS v_kept = ROW_COUNT;
  RETURN v_kept;
END $$;

CREATE OR REPLACE FUNCTION app.release_leases(p_worker uuid) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_freed integer;
BEGIN
  -- A lease is due when it ends: what is past for ten minutes nobody holds.
  WITH held AS MATERIALIZED (
    SELECT id FROM deliveries
     WHERE state = 'pending' AND due_at IS NOT NULL AND leased_by = p_worker
       AND due_at AT TIME ZONE 'UTC' > clock_timestamp() AT TIME ZONE 'UTC' - interval '10 minutes' ORDER BY id FOR UPDATE
  ) UPDATE deliveries d SET leased_by = NULL, leased_until = NULL, due_at = clock_timestamp()
    WHERE d.id = ANY (ARRAY(SELECT id FROM held));
  GET DIAGNOSTICS v_freed = ROW_COUNT;
  IF v_freed > 0 THEN PERFORM pg_notify('tendays_feed', ''); END IF;
  RETURN v_freed;
END $$;

CREATE OR REPLACE FUNCTION app.queue_deliveries(p_endpoints uuid[], p_events uuid[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_made integer;
BEGIN
  WITH wanted AS MATERIALIZED (
    SELECT v.*, w.id AS endpoint_id, w.org_id,
           row_number() OVER (PARTITION BY w.id, v.order_key ORDER BY v.sequence) AS place
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
       WHERE d.endpoint_id = w.endpoint_id AND d.order_key = w.order_key AND d.sequence < w.sequence
         AND d.state = 'pending' AND NOT d.replay
       ORDER BY d.sequence DESC LIMIT 1 FOR SHARE SKIP LOCKED) p ON true
   ORDER BY w.position;
  GET DIAGNOSTICS v_made = ROW_COUNT;
  RETURN v_made;
END $$;

-- As before: few rows by their keys, whatever the statistics say; deliveries in the order of their index; no JIT.
DO $$
DECLARE f text; o text;
BEGIN
  FOREACH f IN ARRAY ARRAY[
    'number_events(integer)', 'queue_deliveries(uuid[], uuid[])', 'record_attempts(uuid, jsonb)',
    'renew_leases(uuid, uuid[], double precision)', 'release_leases(uuid)',
    'claim_deliveries(uuid, text, integer, double precision, uuid[], timestamptz[], timestamptz)'] LOOP
    FOREACH o IN ARRAY ARRAY['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'] LOOP
      EXECUTE format('ALTER FUNCTION app.%s SET %s = off', f, o);
    END LOOP;
  END LOOP;
END $$;
ALTER FUNCTION app.claim_deliveries(uuid, text, integer, double precision, uuid[], timestamptz[], timestamptz) SET enable_sort = off;
