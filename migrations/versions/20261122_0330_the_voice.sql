-- The voice: number and fan out in one call, claim what is due, record what came of it. The worker calls these
-- functions, one round trip each; none of them waits for a row that another one may hold, so that no two deadlock.

ALTER TABLE webhook_endpoints
  ADD COLUMN filled_to BIGINT CONSTRAINT ck_webhook_endpoints_filled_to_least CHECK (filled_to >= 0),
  ADD COLUMN rate_next TIMESTAMP WITH TIME ZONE,
  ADD COLUMN slow_level INTEGER DEFAULT '0' NOT NULL CONSTRAINT ck_webhook_endpoints_slow_level_least CHECK (slow_level >= 0);
CREATE INDEX ix_webhook_endpoints_behind ON webhook_endpoints (id) WHERE filled_to IS NOT NULL AND state <> 'off';

-- A delivery that waits for its predecessor is parked: its due_at is null, so that what is due is found without
-- reading through what waits. One index probe finds the next endpoint with something due.
DROP INDEX ix_deliveries_due;
CREATE INDEX ix_deliveries_due ON deliveries (lane, endpoint_id, due_at) WHERE state = 'pending' AND due_at IS NOT NULL;
CREATE INDEX ix_deliveries_leased ON deliveries (endpoint_id, leased_until) WHERE leased_by IS NOT NULL;
CREATE INDEX ix_deliveries_event_id ON deliveries (event_id);

-- A UUIDv7 of this moment, for rows that Postgres itself makes.
CREATE FUNCTION app.uuid7() RETURNS uuid LANGUAGE sql VOLATILE SET search_path = pg_catalog AS $$
  SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || substr(r, 14, 3)
          || substr(r, 17))::uuid
    FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS r) x
$$;

-- Does a filter take an event type? `*` is everything, `booking.*` what begins with `booking.`.
CREATE FUNCTION app.takes_type(p_filter text[], p_type text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
  SELECT EXISTS (SELECT 1 FROM unnest(p_filter) f
                  WHERE f = '*' OR f = p_type OR (right(f, 2) = '.*' AND starts_with(p_type, left(f, -1))))
$$;

-- The organisations that have an endpoint and may see an audience. Candidates are found from the audience (its own
-- organisation, its trust, those it granted something); app.may_see has the last word.
CREATE FUNCTION app.orgs_told(p_audience uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT c.org_id
    FROM (SELECT p_audience AS org_id
           UNION SELECT t.trust FROM (SELECT app.trust_of(p_audience, app.today()) AS trust) t WHERE t.trust IS NOT NULL
           UNION SELECT g.grantee_id FROM grants g
                  WHERE g.revoked_at IS NULL
                    AND g.grantor_id IN (p_audience, app.trust_of(p_audience, app.today()))) c
   WHERE EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.org_id = c.org_id AND e.state <> 'off')
     AND app.may_see(c.org_id, p_audience)
$$;

-- One delivery for each pair of endpoint and event. A predecessor that is still pending is locked FOR SHARE while its
-- successor is parked: whoever ends it comes after us and releases the successor. One that is being changed at this
-- moment is skipped: the successor is then due, and the claim looks again.
CREATE FUNCTION app.queue_deliveries(p_endpoints uuid[], p_events uuid[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_made integer;
BEGIN
  WITH wanted AS MATERIALIZED (
    SELECT v.*, w.id AS endpoint_id, w.org_id,
           row_number() OVER (PARTITION BY w.id, v.order_key ORDER BY v.sequence) AS place
      FROM unnest(p_endpoints, p_events) AS x (endpoint_id, event_id)
      JOIN webhook_endpoints w ON w.id = x.endpoint_id JOIN events v ON v.id = x.event_id
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

-- Give the events of (p_after, p_to] to every endpoint that is in step.
CREATE FUNCTION app.fan_out(p_after bigint, p_to bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_endpoints uuid[]; v_events uuid[];
BEGIN
  WITH told AS MATERIALIZED (
    SELECT id, type, audience_id, only_client_org, position FROM events WHERE position > p_after AND position <= p_to
  ), seers AS MATERIALIZED (
    SELECT a.audience_id, s.org_id
      FROM (SELECT DISTINCT audience_id FROM told) a CROSS JOIN LATERAL app.orgs_told(a.audience_id) s (org_id)
  )
  SELECT array_agg(e.id), array_agg(t.id) INTO v_endpoints, v_events
    FROM told t JOIN seers s ON s.audience_id = t.audience_id JOIN webhook_endpoints e ON e.org_id = s.org_id
   WHERE e.state <> 'off' AND e.filled_to IS NULL AND t.position > e.from_position
     AND (e.school_id IS NULL OR t.audience_id IN (e.school_id, e.org_id))
     AND (t.only_client_org IS NULL OR t.only_client_org = e.org_id)
     AND app.takes_type(e.event_types, t.type);
  RETURN CASE WHEN v_events IS NULL THEN 0 ELSE app.queue_deliveries(v_endpoints, v_events) END;
END $$;

-- Give one endpoint that is behind up to p_most of the events it may see in (p_after, p_to]. Answers how many deliveries
-- were made, and the position up to which it has been looked through.
CREATE FUNCTION app.catch_up(p_endpoint uuid, p_after bigint, p_to bigint, p_most integer,
  OUT made integer, OUT upto bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE w webhook_endpoints%ROWTYPE; v_seen integer; v_events uuid[];
BEGIN
  SELECT * INTO w FROM webhook_endpoints WHERE id = p_endpoint;
  WITH told AS MATERIALIZED (
    SELECT x.id, x.type, x.only_client_org, x.position
      FROM unnest(CASE WHEN w.school_id IS NULL THEN app.schools_of(w.org_id)
                       ELSE ARRAY[w.school_id] END || w.org_id) AS a (audience_id)
      CROSS JOIN LATERAL (
        SELECT v.id, v.type, v.only_client_org, v.position FROM events v
         WHERE v.audience_id = a.audience_id AND v.position > p_after AND v.position <= p_to
         ORDER BY v.position LIMIT p_most) x
     WHERE app.may_see(w.org_id, a.audience_id)
     GROUP BY x.id, x.type, x.only_client_org, x.position ORDER BY x.position LIMIT p_most
  )
  SELECT count(*), max(t.position), array_agg(t.id) FILTER (
           WHERE app.takes_type(w.event_types, t.type) AND (t.only_client_org IS NULL OR t.only_client_org = w.org_id))
    INTO v_seen, upto, v_events FROM told t;
  IF v_seen < p_most THEN upto := p_to; END IF;
  made := CASE WHEN v_events IS NULL THEN 0
               ELSE app.queue_deliveries(array_fill(p_endpoint, ARRAY[cardinality(v_events)]), v_events) END;
END $$;

-- What ends releases what waited for it.
CREATE FUNCTION app.release_successor() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  UPDATE deliveries SET due_at = clock_timestamp() WHERE id = (
    SELECT d.id FROM deliveries d
     WHERE d.endpoint_id = NEW.endpoint_id AND d.order_key = NEW.order_key AND d.sequence > NEW.sequence
       AND d.state = 'pending' AND d.due_at IS NULL
     ORDER BY d.sequence LIMIT 1);
  RETURN NULL;
END $$;
CREATE TRIGGER deliveries_release AFTER UPDATE OF state ON deliveries FOR EACH ROW
  WHEN (OLD.state = 'pending' AND NEW.state IN ('delivered', 'failed', 'revoked') AND NOT NEW.replay)
  EXECUTE FUNCTION app.release_successor();

-- Number what was committed and give it to the endpoints, in one transaction; then let endpoints that are behind
-- (new ones, or switched on again) catch up by up to p_most events each. Answers nothing if another worker is at it,
-- otherwise the newest position fanned out, how many deliveries were made, and whether there is more to do at once.
CREATE FUNCTION app.sequence_and_fan_out(p_most integer)
RETURNS TABLE (newest bigint, made integer, more boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_last bigint; v_from bigint; v_to bigint; v_behind integer := 0; e record; c record;
BEGIN
  SELECT s.last, f.position INTO v_last, v_from FROM sequencer s, fanout f;
  IF v_last = v_from AND NOT EXISTS (SELECT 1 FROM events WHERE position IS NULL)
     AND NOT EXISTS (SELECT 1 FROM webhook_endpoints WHERE filled_to IS NOT NULL AND state <> 'off') THEN
    RETURN QUERY SELECT v_from, 0, false;
    RETURN;
  END IF;
  v_last := app.number_events(p_most);
  IF v_last IS NULL THEN RETURN; END IF;
  SELECT f.position INTO v_from FROM fanout f FOR UPDATE;
  v_to := least(v_last, v_from + p_most);
  made := 0;
  more := v_to < v_last;
  IF v_to > v_from THEN
    made := app.fan_out(v_from, v_to);
    UPDATE fanout SET position = v_to;
    more := more OR v_to - v_from = p_most;
  END IF;
  FOR e IN SELECT w.id, w.filled_to FROM webhook_endpoints w WHERE w.filled_to IS NOT NULL AND w.state <> 'off'
            ORDER BY w.id LIMIT 8 FOR UPDATE SKIP LOCKED LOOP
    SELECT * INTO c FROM app.catch_up(e.id, e.filled_to, v_to, p_most);
    made := made + c.made;
    UPDATE webhook_endpoints SET filled_to = CASE WHEN c.upto < v_to THEN c.upto END WHERE id = e.id;
    v_behind := v_behind + 1;
    more := more OR c.upto < v_to OR v_behind = 8;
  END LOOP;
  newest := v_to;
  RETURN NEXT;
END $$;

-- Claim up to p_most due deliveries of one lane under a lease. The endpoints with something due are visited in a circle
-- that begins after p_after, each gives at most its free slots, so a full one takes nothing from the others. Per
-- endpoint: concurrency (each lane has slots of its own), rate and slow-down (not for the safety lane), order keys
-- (not for the safety lane, nor for replays), and the right to see. A row without a delivery says in `age` after how many
-- seconds to ask again: another worker was at an endpoint, or a rate held something back. The lease is written without waiting for the disk: losing it costs a repeat.
CREATE FUNCTION app.claim_deliveries(p_worker uuid, p_lane text, p_most integer, p_lease double precision, p_after uuid)
RETURNS TABLE (
  delivery_id uuid, endpoint_id uuid, org_id uuid, event_id uuid, event_type text, lane text, attempts integer,
  age double precision, body bytea, url text, signatures text[], secret_sealed bytea, private_key_sealed bytea,
  old_secret_sealed bytea, old_private_key_sealed bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
DECLARE
  c_first CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
  v_now timestamptz := clock_timestamp();
  v_lease interval := make_interval(secs => p_lease);
  v_left integer := p_most; v_at uuid := p_after; v_wrapped boolean := p_after = c_first; v_again double precision;
  v_endpoint uuid; v_due timestamptz; v_free integer; v_burst integer; v_step interval; v_sees uuid[]; v_taken integer;
  e webhook_endpoints%ROWTYPE;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  WHILE v_left > 0 LOOP
    SELECT d.endpoint_id, d.due_at INTO v_endpoint, v_due FROM deliveries d
     WHERE d.state = 'pending' AND d.due_at IS NOT NULL AND d.lane = p_lane AND d.endpoint_id > v_at
     ORDER BY d.lane, d.endpoint_id, d.due_at LIMIT 1;
    IF v_endpoint IS NULL OR (v_wrapped AND v_endpoint > p_after AND p_after <> c_first) THEN
      EXIT WHEN v_wrapped;
      v_wrapped := true;
      v_at := c_first;
      CONTINUE;
    END IF;
    v_at := v_endpoint;
    CONTINUE WHEN v_due > v_now;
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
    SELECT CASE WHEN e.slow_level > 0 THEN 1 ELSE e.concurrency END - count(*) INTO v_free FROM deliveries d
     WHERE d.endpoint_id = v_endpoint AND d.leased_by IS NOT NULL AND d.leased_until > v_now AND d.lane = p_lane;
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
         AND d.due_at <= v_now AND (d.leased_until IS NULL OR d.leased_until <= v_now)
         AND (p_lane = 'safety' OR d.replay OR NOT EXISTS (
               SELECT 1 FROM deliveries p WHERE p.endpoint_id = v_endpoint AND p.order_key = d.order_key
                  AND p.sequence < d.sequence AND p.state = 'pending' AND NOT p.replay))
       ORDER BY d.due_at LIMIT v_free FOR UPDATE SKIP LOCKED
    ), judged AS MATERIALIZED (
      SELECT h.id, v.body,
             CASE WHEN v.id IS NULL THEN 'cancelled'
                  WHEN v.audience_id = ANY (v_sees) OR h.event_type = 'grant.revoked' THEN 'pending'
                  ELSE 'revoked' END AS fate
        FROM heads h LEFT JOIN events v ON v.id = h.event_id
    ), dropped AS (
      UPDATE deliveries d SET state = j.fate, ended_at = v_now, due_at = NULL, leased_by = NULL, leased_until = NULL,
             last_error = CASE j.fate WHEN 'cancelled' THEN 'The event is older than what is kept.' END
        FROM judged j WHERE d.id = j.id AND j.fate <> 'pending'
    ), taken AS (
      UPDATE deliveries d SET leased_by = p_worker, leased_until = v_now + v_lease, due_at = v_now + v_lease
        FROM judged j WHERE d.id = j.id AND j.fate = 'pending'
      RETURNING d.id, d.org_id, d.event_id, d.event_type, d.lane, d.attempts, d.created_at, d.position, j.body
    )
    SELECT t.id, v_endpoint, t.org_id, t.event_id, t.event_type, t.lane, t.attempts,
           extract(epoch FROM v_now - t.created_at)::double precision, t.body, e.url, e.signatures, e.secret_sealed,
           e.private_key_sealed,
           CASE WHEN e.old_until > v_now THEN e.old_secret_sealed END,
           CASE WHEN e.old_until > v_now THEN e.old_private_key_sealed END
      FROM taken t ORDER BY t.position;
    GET DIAGNOSTICS v_taken = ROW_COUNT;
    v_left := v_left - v_taken;
    IF e.rate_per_second IS NOT NULL AND v_taken > 0 THEN
      UPDATE webhook_endpoints w SET rate_next = e.rate_next + v_step * v_taken WHERE w.id = v_endpoint;
    END IF;
  END LOOP;
  IF v_again IS NOT NULL THEN
    RETURN QUERY SELECT NULL::uuid, NULL::uuid, NULL::uuid, NULL::uuid, NULL::text, NULL::text, NULL::integer,
      v_again, NULL::bytea, NULL::text, NULL::text[], NULL::bytea, NULL::bytea, NULL::bytea, NULL::bytea;
  END IF;
END $$;

-- Record attempts: a row for each, the state of their deliveries, the health of their endpoints. Input:
-- [{id, delivery_id, at, elapsed_ms, status, error, headers, answer, fate: delivered|retry|failed, delay, slow, gone}],
-- delay and slow in seconds. Who has lost its lease still records, but only a success then decides anything.
-- Rows are locked deliveries first, then endpoints, each in the order of ids.
CREATE FUNCTION app.record_attempts(p_worker uuid, p_results jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_now timestamptz := clock_timestamp(); v_gone uuid[]; g uuid;
BEGIN
  WITH held AS MATERIALIZED (
    SELECT x.*, d.endpoint_id, d.org_id, d.attempts + 1 AS no, d.state,
           coalesce(d.leased_by = p_worker, false) AS mine
      FROM jsonb_to_recordset(p_results) AS x (
             id uuid, delivery_id uuid, at timestamptz, elapsed_ms integer, status integer, error text, headers jsonb,
             answer text, fate text, delay double precision)
      JOIN deliveries d ON d.id = x.delivery_id
     WHERE NOT EXISTS (SELECT 1 FROM attempts a WHERE a.id = x.id)  -- said twice, done once
     ORDER BY d.id FOR UPDATE OF d
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
   WHERE d.id = h.delivery_id;

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

-- Switch an endpoint off. Where it stands is kept, so that switching it on again misses nothing.
CREATE FUNCTION app.switch_off_endpoint(p_endpoint uuid, p_reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_position bigint;
BEGIN
  SELECT position INTO v_position FROM fanout FOR UPDATE;
  UPDATE webhook_endpoints SET state = 'off', off_reason = p_reason, filled_to = coalesce(filled_to, v_position),
         version = version + 1, updated_at = clock_timestamp()
   WHERE id = p_endpoint AND state <> 'off';
END $$;

-- Keep the leases of what is still under way; give back those of a worker that stops.
CREATE FUNCTION app.renew_leases(p_worker uuid, p_deliveries uuid[], p_lease double precision) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_kept integer; v_until timestamptz := clock_timestamp() + make_interval(secs => p_lease);
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  WITH held AS MATERIALIZED (
    SELECT id FROM deliveries WHERE id = ANY (p_deliveries) AND leased_by = p_worker AND state = 'pending'
     ORDER BY id FOR UPDATE
  ) UPDATE deliveries d SET leased_until = v_until, due_at = v_until FROM held h WHERE d.id = h.id;
  GET DIAGNOSTICS v_kept = ROW_COUNT;
  RETURN v_kept;
END $$;

CREATE FUNCTION app.release_leases(p_worker uuid) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_freed integer;
BEGIN
  WITH held AS MATERIALIZED (
    SELECT id FROM deliveries WHERE leased_by = p_worker ORDER BY id FOR UPDATE
  ) UPDATE deliveries d SET leased_by = NULL, leased_until = NULL,
           due_at = CASE WHEN d.state = 'pending' THEN clock_timestamp() END
      FROM held h WHERE d.id = h.id;
  GET DIAGNOSTICS v_freed = ROW_COUNT;
  IF v_freed > 0 THEN PERFORM pg_notify('tendays_feed', ''); END IF;
  RETURN v_freed;
END $$;

-- A plan made while a queue was empty reads it from end to end for as long as the connection lives. These functions
-- touch few rows by their keys, whatever the statistics say.
DO $$
DECLARE f text; o text;
BEGIN
  FOREACH f IN ARRAY ARRAY[
    'number_events(integer)', 'queue_deliveries(uuid[], uuid[])', 'fan_out(bigint, bigint)', 'catch_up(uuid, bigint, bigint, integer)',
    'sequence_and_fan_out(integer)',
    'claim_deliveries(uuid, text, integer, double precision, uuid)', 'record_attempts(uuid, jsonb)',
    'renew_leases(uuid, uuid[], double precision)', 'release_leases(uuid)', 'release_successor()'] LOOP
    FOREACH o IN ARRAY ARRAY['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'] LOOP
      EXECUTE format('ALTER FUNCTION app.%s SET %s = off', f, o);
    END LOOP;
  END LOOP;
END $$;

REVOKE ALL ON FUNCTION app.uuid7(), app.takes_type(text[], text), app.orgs_told(uuid),
  app.queue_deliveries(uuid[], uuid[]), app.fan_out(bigint, bigint), app.catch_up(uuid, bigint, bigint, integer),
  app.release_successor(), app.sequence_and_fan_out(integer),
  app.claim_deliveries(uuid, text, integer, double precision, uuid), app.record_attempts(uuid, jsonb),
  app.switch_off_endpoint(uuid, text), app.renew_leases(uuid, uuid[], double precision), app.release_leases(uuid)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.sequence_and_fan_out(integer),
  app.claim_deliveries(uuid, text, integer, double precision, uuid), app.record_attempts(uuid, jsonb),
  app.switch_off_endpoint(uuid, text), app.renew_leases(uuid, uuid[], double precision), app.release_leases(uuid)
  TO tendays_worker;
