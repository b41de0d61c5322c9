-- The safety lane waits for nothing: not for an endpoint to be switched on again, nor for it to have caught up. What is
-- queued for one that is off is seen to be undelivered, is raised as such, and is the first thing sent when it is back.

-- The organisations that have an endpoint and may see an audience, as before; one that is off is an endpoint, too.
CREATE OR REPLACE FUNCTION app.orgs_told(p_audience uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT c.org_id
    FROM (SELECT p_audience AS org_id
           UNION SELECT t.trust FROM (SELECT app.trust_of(p_audience, app.today()) AS trust) t WHERE t.trust IS NOT NULL
           UNION SELECT g.grantee_id FROM grants g
                  WHERE g.revoked_at IS NULL
                    AND g.grantor_id IN (p_audience, app.trust_of(p_audience, app.today()))) c
   WHERE EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.org_id = c.org_id AND e.off_reason IS DISTINCT FROM 'deleted')
     AND app.may_see(c.org_id, p_audience)
$$;

-- Give the events of (p_after, p_to] to every endpoint that is in step, and those of the safety lane to every endpoint.
CREATE OR REPLACE FUNCTION app.fan_out(p_after bigint, p_to bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_endpoints uuid[]; v_events uuid[];
BEGIN
  WITH told AS MATERIALIZED (
    SELECT id, type, audience_id, only_client_org, position, lane FROM events WHERE position > p_after AND position <= p_to
  ), audiences AS MATERIALIZED (
    SELECT DISTINCT audience_id FROM told
  ), doors AS MATERIALIZED (
    SELECT a.audience_id, e.id, e.org_id, e.from_position, e.event_types, e.state <> 'off' AND e.filled_to IS NULL AS in_step
      FROM audiences a CROSS JOIN LATERAL app.orgs_told(a.audience_id) s (org_id)
      JOIN webhook_endpoints e ON e.org_id = s.org_id
     WHERE e.off_reason IS DISTINCT FROM 'deleted' AND (e.school_id IS NULL OR a.audience_id IN (e.school_id, e.org_id))
  ), pairs AS MATERIALIZED (
    SELECT t.id AS event_id, t.type, d.id AS endpoint_id, d.event_types FROM told t JOIN doors d ON d.audience_id = t.audience_id
     WHERE t.position > d.from_position AND (t.only_client_org IS NULL OR t.only_client_org = d.org_id)
       AND (d.in_step OR t.lane = 'safety')
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

-- Give one endpoint that is behind up to p_most of the events it may see in (p_after, p_to], but for those of the safety
-- lane that it has been given already. Answers how many deliveries were made, and the position up to which it has been
-- looked through.
CREATE OR REPLACE FUNCTION app.catch_up(p_endpoint uuid, p_after bigint, p_to bigint, p_most integer,
  OUT made integer, OUT upto bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE w webhook_endpoints%ROWTYPE; v_seen integer; v_events uuid[];
BEGIN
  SELECT * INTO w FROM webhook_endpoints WHERE id = p_endpoint;
  WITH told AS MATERIALIZED (
    SELECT x.id, x.type, x.only_client_org, x.position, x.lane
      FROM unnest(CASE WHEN w.school_id IS NULL THEN app.schools_of(w.org_id)
                       ELSE ARRAY[w.school_id] END || w.org_id) AS a (audience_id)
      CROSS JOIN LATERAL (
        SELECT v.id, v.type, v.only_client_org, v.position, v.lane FROM events v
         WHERE v.audience_id = a.audience_id AND v.position > p_after AND v.position <= p_to
         ORDER BY v.position LIMIT p_most) x
     WHERE app.may_see(w.org_id, a.audience_id)
     GROUP BY x.id, x.type, x.only_client_org, x.position, x.lane ORDER BY x.position LIMIT p_most
  )
  SELECT count(*), max(t.position), array_agg(t.id) FILTER (
           WHERE app.takes_type(w.event_types, t.type) AND (t.only_client_org IS NULL OR t.only_client_org = w.org_id)
             AND (t.lane <> 'safety' OR NOT EXISTS (
                   SELECT 1 FROM deliveries d WHERE d.event_id = t.id AND d.endpoint_id = p_endpoint AND NOT d.replay)))
    INTO v_seen, upto, v_events FROM told t;
  IF v_seen < p_most THEN upto := p_to; END IF;
  made := CASE WHEN v_events IS NULL THEN 0
               ELSE app.queue_deliveries(array_fill(p_endpoint, ARRAY[cardinality(v_events)]), v_events) END;
END $$;

-- What ends releases what waited for it; so does what was cancelled as too old, which says so (what is cancelled with its
-- endpoint says nothing, and nothing waits for it).
DROP TRIGGER deliveries_release ON deliveries;
CREATE TRIGGER deliveries_release AFTER UPDATE OF state ON deliveries FOR EACH ROW
  WHEN (OLD.state = 'pending' AND NOT NEW.replay AND (NEW.state IN ('delivered', 'failed', 'revoked')
        OR (NEW.state = 'cancelled' AND NEW.last_error IS NOT NULL)))
  EXECUTE FUNCTION app.release_successor();

-- Drop the oldest partition that lies wholly before what is kept and that nothing needs any more; its name, or null when
-- there is none. One at a time, for a drop locks the whole table: it is given up after two seconds rather than waited for.
-- Needed are events not yet numbered, not yet given to every endpoint that is to have them, or still to be sent;
-- deliveries still to be sent; and attempts while the deliveries of their month are there. Never younger than a week.
-- Still to be sent is what waits for an active endpoint: what an endpoint that is paused or off has left lying for longer
-- than anything is kept, is cancelled. One that nobody comes back to would keep everybody's past for ever.
CREATE OR REPLACE FUNCTION app.drop_old_partition(p_days integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET lock_timeout = '2s' AS $$
DECLARE
  v_before timestamptz := now() - make_interval(days => greatest(p_days, 7));
  v_given bigint; v_needed boolean; p record;
BEGIN
  IF NOT pg_try_advisory_xact_lock(7310003) THEN RETURN NULL; END IF;
  UPDATE deliveries d
     SET state = 'cancelled', ended_at = clock_timestamp(), due_at = NULL, leased_by = NULL, leased_until = NULL,
         last_error = 'The event is older than what is kept.'
    FROM webhook_endpoints w
   WHERE w.id = d.endpoint_id AND w.state <> 'active' AND d.state = 'pending'
     AND d.event_id < app.uuid7_floor(date_trunc('month', v_before AT TIME ZONE 'UTC') AT TIME ZONE 'UTC');
  SELECT least(f.position, (SELECT min(w.filled_to) FROM webhook_endpoints w WHERE w.state <> 'off'))
    INTO v_given FROM fanout f;
  FOR p IN
    SELECT x.kind, c.relname AS name, m.begins, m.begins + interval '1 month' AS ends
      FROM (VALUES ('deliveries', 1), ('attempts', 2), ('events', 3)) x (kind, rank)
      JOIN pg_inherits i ON i.inhparent = ('public.' || x.kind)::regclass
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relname ~ ('^' || x.kind || '_[0-9]{6}$')
      CROSS JOIN LATERAL (SELECT to_date(right(c.relname, 6) || '01', 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' AS begins) m
     WHERE m.begins + interval '1 month' <= v_before
     ORDER BY m.begins, x.rank
  LOOP
    IF p.kind = 'deliveries' THEN
      EXECUTE format('SELECT EXISTS (SELECT 1 FROM public.%I WHERE state = ''pending'')', p.name) INTO v_needed;
    ELSIF p.kind = 'attempts' THEN
      v_needed := to_regclass('public.deliveries_' || right(p.name, 6)) IS NOT NULL;
    ELSE
      EXECUTE format('SELECT EXISTS (SELECT 1 FROM public.%I WHERE position IS NULL)'
                     ' OR EXISTS (SELECT 1 FROM public.%I WHERE position > $1)'
                     ' OR EXISTS (SELECT 1 FROM deliveries WHERE state = ''pending'' AND event_id >= $2 AND event_id < $3)',
                     p.name, p.name)
        INTO v_needed USING v_given, app.uuid7_floor(p.begins), app.uuid7_floor(p.ends);
    END IF;
    CONTINUE WHEN v_needed;
    EXECUTE format('DROP TABLE public.%I', p.name);
    RETURN p.name;
  END LOOP;
  RETURN NULL;
END $$;

-- As before: few rows by their keys, whatever the statistics say; what was gathered once is joined by hashes.
DO $$
DECLARE o text;
BEGIN
  FOREACH o IN ARRAY ARRAY['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'] LOOP
    EXECUTE format('ALTER FUNCTION app.catch_up(uuid, bigint, bigint, integer) SET %s = off', o);
    EXECUTE format('ALTER FUNCTION app.fan_out(bigint, bigint) SET %s = off', o);
  END LOOP;
END $$;
ALTER FUNCTION app.fan_out(bigint, bigint) RESET enable_hashjoin;
