-- Drop the oldest partition that lies wholly before what is kept and that nothing needs any more; its name, or null when
-- there is none. One at a time, for a drop locks the whole table: it is given up after two seconds rather than waited for.
-- Needed are events not yet numbered, not yet given to every endpoint that is to have them, or still to be sent;
-- deliveries still to be sent; and attempts while the deliveries of their month are there. Never younger than a week.
CREATE FUNCTION app.drop_old_partition(p_days integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET lock_timeout = '2s' AS $$
DECLARE
  v_before timestamptz := now() - make_interval(days => greatest(p_days, 7));
  v_given bigint; v_needed boolean; p record;
BEGIN
  IF NOT pg_try_advisory_xact_lock(7310003) THEN RETURN NULL; END IF;
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

-- How many whole periods after the present one every partitioned table is ready for; three are kept.
CREATE FUNCTION app.periods_ahead() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT min(ahead)::integer
    FROM (VALUES ('events', 6, 'YYYYMM'), ('deliveries', 6, 'YYYYMM'), ('attempts', 6, 'YYYYMM'),
                 ('encounters', 4, 'YYYY'), ('ledger_entries', 4, 'YYYY')) t (name, digits, form)
    CROSS JOIN LATERAL (
      SELECT count(*) AS ahead FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
       WHERE i.inhparent = ('public.' || t.name)::regclass
         AND c.relname ~ ('_[0-9]{' || t.digits || '}$')
         AND right(c.relname, t.digits) > to_char(now() AT TIME ZONE 'UTC', t.form)) a
$$;

REVOKE ALL ON FUNCTION app.drop_old_partition(integer), app.periods_ahead() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.drop_old_partition(integer) TO tendays_worker;
GRANT EXECUTE ON FUNCTION app.periods_ahead() TO tendays_app, tendays_worker;
