-- Claims and numbering that do not walk through what is over. An old snapshot keeps dead rows in the indexes of the queue;
-- who begins at the front of an index reads all of them again at each call. So a claim begins where the live ones begin:
-- the worker remembers that per endpoint (it is a hint: to forget it costs a look, never a delivery), and numbering begins
-- after the last event of which every earlier one is known to be committed or rolled back.

-- What became due since a moment, whoever it is for. In place of the index of leases: a lease is also what is due later. On
-- an expression, so that nobody takes it who wants one endpoint's: it would read through everybody's. And who looks here
-- writes the lane so that the index of one endpoint's does not offer itself, as it does while there are no statistics.
CREATE INDEX ix_deliveries_soon ON deliveries ((due_at AT TIME ZONE 'UTC'))
  WHERE state = 'pending' AND due_at IS NOT NULL;
DROP INDEX ix_deliveries_leased;

-- What has no position yet is found by `seq` alone, whatever the statistics say of how few they are.
DROP INDEX ix_events_position;
CREATE INDEX ix_events_position ON events (position) WHERE position IS NOT NULL;
DROP INDEX ix_events_audience_id;
CREATE INDEX ix_events_audience_id ON events (audience_id, position) WHERE position IS NOT NULL;

-- One row each, changed with every batch: the newest version is found from the right end of an index, past the dead ones.
CREATE INDEX ix_sequencer_last ON sequencer (last);
CREATE INDEX ix_fanout_position ON fanout (position);

-- `low`: all events up to this `seq` are numbered, or will never be. `mark`: the same as soon as every transaction of before
-- `mark_xid` has ended, which is asked for a moment after `mark` was taken.
ALTER TABLE sequencer
  ADD COLUMN low BIGINT DEFAULT '0' NOT NULL,
  ADD COLUMN mark BIGINT DEFAULT '0' NOT NULL,
  ADD COLUMN mark_xid BIGINT,
  ADD COLUMN marked_at TIMESTAMP WITH TIME ZONE;

-- Number committed events in the order of writing, under one lock for the whole cluster. Answers the last position,
-- or NULL if another sequencer is at it.
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
    UPDATE events e SET position = s.last + t.n, positioned_at = clock_timestamp() FROM todo t WHERE e.id = t.id
    RETURNING 1
  ) SELECT count(*) INTO v_more FROM done;
  IF v_more > 0 THEN
    UPDATE sequencer q SET last = s.last + v_more, low = s.low, mark = s.mark, mark_xid = s.mark_xid, marked_at = s.marked_at
     WHERE q.last = s.last;
    PERFORM pg_notify('tendays_feed', '');
  END IF;
  RETURN s.last + v_more;
END $$;

CREATE OR REPLACE FUNCTION app.sequence_and_fan_out(p_most integer)
RETURNS TABLE (newest bigint, made integer, more boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_last bigint; v_low bigint; v_from bigint; v_to bigint; v_behind integer := 0; e record; c record;
BEGIN
  SELECT s.last, CASE WHEN s.low <= q.last_value THEN s.low ELSE 0 END INTO v_last, v_low
    FROM (SELECT * FROM sequencer ORDER BY last DESC LIMIT 1) s, events_seq q;
  SELECT f.position INTO v_from FROM fanout f ORDER BY f.position DESC LIMIT 1;
  IF v_last = v_from AND NOT EXISTS (SELECT 1 FROM events WHERE position IS NULL AND seq > v_low)
     AND NOT EXISTS (SELECT 1 FROM webhook_endpoints WHERE filled_to IS NOT NULL AND state <> 'off') THEN
    RETURN QUERY SELECT v_from, 0, false;
    RETURN;
  END IF;
  v_last := app.number_events(p_most);
  IF v_last IS NULL THEN RETURN; END IF;
  SELECT f.position INTO v_from FROM fanout f ORDER BY f.position DESC LIMIT 1 FOR UPDATE;
  v_to := least(v_last, v_from + p_most);
  made := 0;
  more := v_to < v_last;
  IF v_to > v_from THEN
    made := app.fan_out(v_from, v_to);
    UPDATE fanout SET position = v_to WHERE position = v_from;
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

-- A UUIDv7 of this moment, for rows that Postgres itself makes: one expression, so that it is written into its caller.
CREATE OR REPLACE FUNCTION app.uuid7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
  SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
           PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
         52, 1), 53, 1), 'hex')::uuid
$$;

-- Give the events of (p_after, p_to] to every endpoint that is in step. A filter is asked once for each type, not for each event.
CREATE OR REPLACE FUNCTION app.fan_out(p_after bigint, p_to bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_endpoints uuid[]; v_events uuid[];
BEGIN
  WITH told AS MATERIALIZED (
    SELECT id, type, audience_id, only_client_org, position FROM events WHERE position > p_after AND position <= p_to
  ), audiences AS MATERIALIZED (
    SELECT DISTINCT audience_id FROM told
  ), doors AS MATERIALIZED (
    SELECT a.audience_id, e.id, e.org_id, e.from_position, e.event_types
      FROM audiences a CROSS JOIN LATERAL app.orgs_told(a.audience_id) s (org_id)
      JOIN webhook_endpoints e ON e.org_id = s.org_id
     WHERE e.state <> 'off' AND e.filled_to IS NULL AND (e.school_id IS NULL OR a.audience_id IN (e.school_id, e.org_id))
  ), pairs AS MATERIALIZED (
    SELECT t.id AS event_id, t.type, d.id AS endpoint_id, d.event_types FROM told t JOIN doors d ON d.audience_id = t.audience_id
     WHERE t.position > d.from_position AND (t.only_client_org IS NULL OR t.only_client_org = d.org_id)
  ), kinds AS MATERIALIZED (
    SELECT DISTINCT endpoint_id, event_types, type FROM pairs
  ), wanted AS MATERIALIZED (
    SELECT k.endpoint_id, k.type FROM kinds k
     WHERE app.takes_type(k.event_types, k.type)
  )
  SELECT array_agg(p.endpoint_id), array_agg(p.event_id) INTO v_endpoints, v_events
    FROM pairs p JOIN wanted w ON w.endpoint_id = p.endpoint_id AND w.type = p.type;
  RETURN CASE WHEN v_events IS NULL THEN 0 ELSE app.queue_deliveries(v_endpoints, v_events) END;
END $$;

-- What ends releases what waited for it. Mostly nothing did: that is found out before anything is made ready to change it.
CREATE OR REPLACE FUNCTION app.release_successor() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_next uuid;
BEGIN
  SELECT d.id INTO v_next FROM deliveries d
   WHERE d.endpoint_id = NEW.endpoint_id AND d.order_key = NEW.order_key AND d.sequence > NEW.sequence
     AND d.state = 'pending' AND d.due_at IS NULL
   ORDER BY d.sequence LIMIT 1;
  IF FOUND THEN UPDATE deliveries SET due_at = clock_timestamp() WHERE id = v_next; END IF;
  RETURN NULL;
END $$;

-- Every endpoint with something due in a lane, and since when: one probe of the index for each.
CREATE FUNCTION app.due_endpoints(p_lane text) RETURNS TABLE (endpoint_id uuid, low timestamptz, looked timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
DECLARE v_now timestamptz := clock_timestamp(); v_at uuid := '00000000-0000-0000-0000-000000000000'; v_due timestamptz;
BEGIN
  LOOP
    SELECT d.endpoint_id, d.due_at INTO v_at, v_due FROM deliveries d
     WHERE d.state = 'pending' AND d.due_at IS NOT NULL AND d.lane = p_lane AND d.endpoint_id > v_at
     ORDER BY d.lane, d.endpoint_id, d.due_at LIMIT 1;
    EXIT WHEN v_at IS NULL;
    IF v_due <= v_now THEN RETURN QUERY SELECT v_at, v_due, v_now; END IF;
  END LOOP;
  RETURN QUERY SELECT NULL::uuid, NULL::timestamptz, v_now;
END $$;

-- Claim up to p_most due deliveries of one lane under a lease. Visited are the given endpoints in their order, each from
-- the moment given with it on, then those for which something became due after p_since (null: do not look). Each gives at
-- most its free slots, so a full one takes nothing from the others. Per endpoint: concurrency (each lane has slots of
-- its own), rate and slow-down (not for the safety lane), order keys (not for the safety lane, nor for replays), and the
-- right to see. The lease is written without waiting for the disk: losing it costs a repeat.
-- Rows without a delivery: `found`, something became due for an endpoint at `low`; `seen`, it was visited, and its first
-- live delivery is due at `low` (null: none is due); at last `looked`, at the moment `low`, or null, and in `age` after how
-- many seconds to ask again: another worker was at an endpoint, or a rate held something back.
DROP FUNCTION app.claim_deliveries(uuid, text, integer, double precision, uuid);
CREATE FUNCTION app.claim_deliveries(p_worker uuid, p_lane text, p_most integer, p_lease double precision,
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
    SELECT CASE WHEN e.slow_level > 0 THEN 1 ELSE e.concurrency END - count(*) INTO v_free FROM (
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

CREATE OR REPLACE FUNCTION app.release_leases(p_worker uuid) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_freed integer;
BEGIN
  -- A lease is due when it ends: what is past for ten minutes nobody holds.
  WITH held AS MATERIALIZED (
    SELECT id FROM deliveries
     WHERE state = 'pending' AND due_at IS NOT NULL AND leased_by = p_worker
       AND due_at AT TIME ZONE 'UTC' > clock_timestamp() AT TIME ZONE 'UTC' - interval '10 minutes' ORDER BY id FOR UPDATE
  ) UPDATE deliveries d SET leased_by = NULL, leased_until = NULL, due_at = clock_timestamp() FROM held h WHERE d.id = h.id;
  GET DIAGNOSTICS v_freed = ROW_COUNT;
  IF v_freed > 0 THEN PERFORM pg_notify('tendays_feed', ''); END IF;
  RETURN v_freed;
END $$;

-- Few rows by their keys, whatever the statistics say (as the voice).
DO $$
DECLARE f text; o text;
BEGIN
  FOREACH f IN ARRAY ARRAY[
    'number_events(integer)', 'sequence_and_fan_out(integer)', 'release_successor()', 'fan_out(bigint, bigint)', 'due_endpoints(text)', 'release_leases(uuid)',
    'claim_deliveries(uuid, text, integer, double precision, uuid[], timestamptz[], timestamptz)'] LOOP
    FOREACH o IN ARRAY ARRAY['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'] LOOP
      EXECUTE format('ALTER FUNCTION app.%s SET %s = off', f, o);
    END LOOP;
  END LOOP;
END $$;
-- Deliveries are asked for in the order of the index that has them in it: what would have to be sorted came by
-- another one, which looks shorter while few are alive and is as long as the past that a snapshot keeps.
ALTER FUNCTION app.claim_deliveries(uuid, text, integer, double precision, uuid[], timestamptz[], timestamptz) SET enable_sort = off;
-- What was gathered once is joined by hashes: there is nothing else to join it by.
ALTER FUNCTION app.fan_out(bigint, bigint) RESET enable_hashjoin;

REVOKE ALL ON FUNCTION app.due_endpoints(text),
  app.claim_deliveries(uuid, text, integer, double precision, uuid[], timestamptz[], timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.due_endpoints(text),
  app.claim_deliveries(uuid, text, integer, double precision, uuid[], timestamptz[], timestamptz) TO tendays_worker;
