-- What the worker deletes it holds first, and leaves what another session holds.
GRANT UPDATE (expires_at) ON idempotency_keys, assertion_ids, revoked_tokens TO tendays_worker;

-- --- partitions ---------------------------------------------------------------------------------------------

CREATE FUNCTION app.partitioned_tables() RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT ARRAY['events', 'deliveries', 'attempts', 'encounters', 'ledger_entries']
$$;

-- One partition: made if there is none, attached again if it is there and belongs to nobody. Whether anything was done.
CREATE FUNCTION app.keep_partition(p_table text, p_name text, p_from text, p_to text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE v_there regclass := to_regclass('public.' || quote_ident(p_name));
BEGIN
  IF v_there IS NULL THEN
    EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%s) TO (%s)', p_name, p_table, p_from, p_to);
  ELSIF NOT EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = v_there) THEN
    EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%s) TO (%s)', p_table, p_name, p_from, p_to);
  ELSE
    RETURN false;
  END IF;
  RETURN true;
END $$;

-- The partitions of one table: of the present month and three ahead; of the years from 2015 to three ahead.
CREATE FUNCTION app.keep_partitions_of(p_table text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE v_made integer := 0; v_from timestamptz; v_year integer;
BEGIN
  IF p_table IS NULL OR p_table <> ALL (app.partitioned_tables()) THEN
    RAISE EXCEPTION '% has no partitions of ours', p_table USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM pg_advisory_xact_lock(7310002);
  IF p_table IN ('events', 'deliveries', 'attempts') THEN
    FOR i IN 0..3 LOOP
      v_from := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(months => i);
      v_made := v_made + app.keep_partition(p_table, p_table || '_' || to_char(v_from AT TIME ZONE 'UTC', 'YYYYMM'),
        quote_literal(app.uuid7_floor(v_from)), quote_literal(app.uuid7_floor(v_from + interval '1 month')))::integer;
    END LOOP;
  ELSE
    FOR v_year IN 2015..extract(year FROM now())::integer + 3 LOOP
      v_made := v_made + app.keep_partition(p_table, p_table || '_' || v_year, v_year::text, (v_year + 1)::text)::integer;
    END LOOP;
  END IF;
  RETURN v_made;
END $$;

CREATE OR REPLACE FUNCTION app.keep_partitions() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE v_made integer := 0; t text;
BEGIN
  FOREACH t IN ARRAY app.partitioned_tables() LOOP
    v_made := v_made + app.keep_partitions_of(t);
  END LOOP;
  RETURN v_made;
END $$;

-- For how many periods after the present one everything is ready; -1 if a present or past one is missing.
CREATE OR REPLACE FUNCTION app.periods_ahead() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT CASE WHEN bool_and(a.present) THEN min(a.ahead)::integer ELSE -1 END
    FROM (VALUES ('events', 6, 'YYYYMM', 1), ('deliveries', 6, 'YYYYMM', 1), ('attempts', 6, 'YYYYMM', 1),
                 ('encounters', 4, 'YYYY', extract(year FROM now())::integer - 2014),
                 ('ledger_entries', 4, 'YYYY', extract(year FROM now())::integer - 2014)) t (name, digits, form, needed)
    CROSS JOIN LATERAL (
      SELECT count(*) FILTER (WHERE right(c.relname, t.digits) > to_char(now() AT TIME ZONE 'UTC', t.form)) AS ahead,
             CASE WHEN t.digits = 6
                  THEN count(*) FILTER (WHERE right(c.relname, 6) = to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')) = 1
                  ELSE count(*) FILTER (WHERE right(c.relname, 4) BETWEEN '2015' AND to_char(now() AT TIME ZONE 'UTC', 'YYYY'))
                       >= t.needed END AS present
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
       WHERE i.inhparent = ('public.' || t.name)::regclass
         AND c.relname ~ ('_[0-9]{' || t.digits || '}$')) a
$$;

-- --- what is older than what is kept ----------------------------------------------------------------------

-- Deliveries of what is older than what is kept, to endpoints that take nothing at present, are given up.
CREATE FUNCTION app.give_up_old(p_days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE v_before timestamptz := now() - make_interval(days => greatest(p_days, 7)); v_done integer;
BEGIN
  UPDATE deliveries d
     SET state = 'cancelled', ended_at = clock_timestamp(), due_at = NULL, leased_by = NULL, leased_until = NULL,
         last_error = 'The event is older than what is kept.'
    FROM webhook_endpoints w
   WHERE w.id = d.endpoint_id AND w.state <> 'active' AND d.state = 'pending'
     AND d.event_id < app.uuid7_floor(date_trunc('month', v_before AT TIME ZONE 'UTC') AT TIME ZONE 'UTC');
  GET DIAGNOSTICS v_done = ROW_COUNT;
  RETURN v_done;
END $$;

-- The partitions that are old enough to go, in the order in which they can.
CREATE FUNCTION app.old_partitions(p_days integer) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.relname::text
    FROM (VALUES ('deliveries', 1), ('attempts', 2), ('events', 3)) x (kind, rank)
    JOIN pg_inherits i ON i.inhparent = ('public.' || x.kind)::regclass
    JOIN pg_class c ON c.oid = i.inhrelid AND c.relname ~ ('^' || x.kind || '_[0-9]{6}$')
    CROSS JOIN LATERAL (SELECT to_date(right(c.relname, 6) || '01', 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' AS begins) m
   WHERE m.begins + interval '1 month' <= now() - make_interval(days => greatest(p_days, 7))
   ORDER BY m.begins, x.rank
$$;

-- Drop one of them, unless something in it is still needed or another session is at it.
CREATE FUNCTION app.drop_old_partition(p_days integer, p_name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE v_kind text; v_begins timestamptz; v_given bigint; v_needed boolean;
BEGIN
  IF NOT pg_try_advisory_xact_lock(7310003) THEN RETURN false; END IF;
  IF NOT EXISTS (SELECT 1 FROM app.old_partitions(p_days) o (name) WHERE o.name = p_name) THEN RETURN false; END IF;
  v_kind := left(p_name, length(p_name) - 7);
  v_begins := to_date(right(p_name, 6) || '01', 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC';
  SELECT least(f.position, (SELECT min(w.filled_to) FROM webhook_endpoints w WHERE w.state <> 'off'))
    INTO v_given FROM fanout f;
  IF v_kind = 'deliveries' THEN
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM public.%I WHERE state = ''pending'')', p_name) INTO v_needed;
  ELSIF v_kind = 'attempts' THEN
    v_needed := to_regclass('public.deliveries_' || right(p_name, 6)) IS NOT NULL;
  ELSE
    -- Deliveries that are to go and could not yet be dropped keep their events.
    v_needed := false;
    IF to_regclass('public.deliveries_' || right(p_name, 6)) IS NOT NULL THEN
      EXECUTE format('SELECT NOT EXISTS (SELECT 1 FROM public.%I WHERE state = ''pending'')', 'deliveries_' || right(p_name, 6))
        INTO v_needed;
    END IF;
    IF v_needed THEN RETURN false; END IF;
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM public.%I WHERE position IS NULL)'
                   ' OR EXISTS (SELECT 1 FROM public.%I WHERE position > $1)'
                   ' OR EXISTS (SELECT 1 FROM deliveries WHERE state = ''pending'' AND event_id >= $2 AND event_id < $3)',
                   p_name, p_name)
      INTO v_needed USING v_given, app.uuid7_floor(v_begins), app.uuid7_floor(v_begins + interval '1 month');
  END IF;
  IF v_needed THEN RETURN false; END IF;
  EXECUTE format('DROP TABLE public.%I', p_name);
  RETURN true;
END $$;

-- --- replays ------------------------------------------------------------------------------------------------

CREATE FUNCTION app.replays_due(p_backlog integer, p_most integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT x.id FROM webhook_replays x
   WHERE x.state = 'running'
     AND (SELECT count(*) FROM (SELECT 1 FROM deliveries d
            WHERE d.state = 'pending' AND d.due_at IS NOT NULL AND d.lane = 'normal' AND d.endpoint_id = x.endpoint_id
            LIMIT p_backlog) due) < p_backlog
   ORDER BY x.worked_at NULLS FIRST, x.id LIMIT p_most
$$;

-- A slice of one replay; NULL if it is not to go on now, or somebody else is at it. Otherwise as the function of the same
-- name that chooses for itself, which workers of the version before go on calling.
CREATE FUNCTION app.replay_slice(p_replay uuid, p_most integer, p_backlog integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  r webhook_replays%ROWTYPE; w webhook_endpoints%ROWTYPE;
  v_seen integer; v_upto bigint; v_events uuid[]; v_made integer := 0;
BEGIN
  SELECT x.* INTO r FROM webhook_replays x
   WHERE x.id = p_replay AND x.state = 'running'
     AND (SELECT count(*) FROM (SELECT 1 FROM deliveries d
            WHERE d.state = 'pending' AND d.due_at IS NOT NULL AND d.lane = 'normal' AND d.endpoint_id = x.endpoint_id
            LIMIT p_backlog) due) < p_backlog
   FOR UPDATE OF x SKIP LOCKED;
  IF NOT FOUND THEN RETURN NULL; END IF;
  SELECT e.* INTO w FROM webhook_endpoints e WHERE e.id = r.endpoint_id AND e.state <> 'off';
  IF NOT FOUND THEN
    UPDATE webhook_replays SET state = 'cancelled', ended_at = clock_timestamp(), worked_at = clock_timestamp() WHERE id = r.id;
    RETURN 0;
  END IF;
  WITH told AS MATERIALIZED (
    SELECT x.id, x.type, x.only_client_org, x.position, x.occurred_at
      FROM unnest(CASE WHEN w.school_id IS NULL THEN app.schools_of(w.org_id)
                       ELSE ARRAY[w.school_id] END || w.org_id) AS a (audience_id)
      CROSS JOIN LATERAL (
        SELECT v.id, v.type, v.only_client_org, v.position, v.occurred_at FROM events v
         WHERE v.audience_id = a.audience_id AND v.position > r.reached AND v.position <= r.to_position
         ORDER BY v.position LIMIT p_most) x
     WHERE app.may_see(w.org_id, a.audience_id)
     GROUP BY 1, 2, 3, 4, 5 ORDER BY x.position LIMIT p_most
  )
  SELECT count(*), max(t.position), array_agg(t.id) FILTER (
           WHERE app.takes_type(w.event_types, t.type) AND (t.only_client_org IS NULL OR t.only_client_org = w.org_id)
             AND (r.from_time IS NULL OR t.occurred_at >= r.from_time) AND (r.to_time IS NULL OR t.occurred_at < r.to_time)
             AND (r.picks = 'all' OR (
               NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = t.id AND d.endpoint_id = w.id
                              AND d.state IN ('delivered', 'pending'))
               AND (r.picks = 'missed' OR EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = t.id
                                                     AND d.endpoint_id = w.id AND d.state = 'failed')))))
    INTO v_seen, v_upto, v_events FROM told t;
  IF v_seen < p_most THEN v_upto := r.to_position; END IF;
  INSERT INTO deliveries (id, endpoint_id, org_id, event_id, event_type, order_key, sequence, position, lane, replay, due_at)
  SELECT app.uuid7(), w.id, w.org_id, v.id, v.type, v.order_key, v.sequence, v.position, 'normal', true, clock_timestamp()
    FROM events v WHERE v.id = ANY (v_events) ORDER BY v.position;
  GET DIAGNOSTICS v_made = ROW_COUNT;
  UPDATE webhook_replays
     SET reached = v_upto, queued = queued + v_made, worked_at = clock_timestamp(),
         state = CASE WHEN v_upto >= r.to_position THEN 'done' ELSE 'running' END,
         ended_at = CASE WHEN v_upto >= r.to_position THEN clock_timestamp() END
   WHERE id = r.id;
  IF v_made > 0 THEN PERFORM pg_notify('tendays_feed', ''); END IF;
  RETURN v_made;
END $$;

REVOKE EXECUTE ON FUNCTION app.partitioned_tables(), app.keep_partition(text, text, text, text), app.keep_partitions_of(text),
  app.give_up_old(integer), app.old_partitions(integer), app.drop_old_partition(integer, text),
  app.replays_due(integer, integer), app.replay_slice(uuid, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.partitioned_tables(), app.keep_partitions_of(text) TO tendays_app, tendays_worker;
GRANT EXECUTE ON FUNCTION app.give_up_old(integer), app.old_partitions(integer), app.drop_old_partition(integer, text),
  app.replays_due(integer, integer), app.replay_slice(uuid, integer, integer) TO tendays_worker;
