-- The feed says which positions it holds: a reader that comes back after its place was dropped is told, and does not go on
-- with a hole behind it.
ALTER TABLE change_marks ADD COLUMN dropped BIGINT DEFAULT '0' NOT NULL CONSTRAINT ck_change_marks_dropped_least CHECK (dropped >= 0);
UPDATE change_marks SET dropped = coalesce((SELECT min(position) - 1 FROM events WHERE position IS NOT NULL),
                                           (SELECT max(last) FROM sequencer), 0);

-- As before, and what is dropped is noted.
CREATE OR REPLACE FUNCTION app.drop_old_partition(p_days integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  v_before timestamptz := now() - make_interval(days => greatest(p_days, 7));
  v_given bigint; v_needed boolean; v_dropped bigint; p record;
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
    IF p.kind = 'events' THEN
      EXECUTE format('SELECT max(position) FROM public.%I', p.name) INTO v_dropped;
      UPDATE change_marks SET dropped = greatest(dropped, v_dropped);
    END IF;
    EXECUTE format('DROP TABLE public.%I', p.name);
    RETURN p.name;
  END LOOP;
  RETURN NULL;
END $$;

-- As before, but for the number that the mark waits for.
CREATE OR REPLACE FUNCTION app.number_events(p_most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
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
    -- Not the snapshot's xmax, which is only the first number after the last transaction that has ended: one with the next
    -- number may still be open. Our own number is above that of every transaction which took a `seq` up to the mark.
    s.mark_xid := pg_current_xact_id()::text::bigint;
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

-- As before: few rows by their keys, whatever the statistics say.
DO $$
DECLARE o text;
BEGIN
  FOREACH o IN ARRAY ARRAY['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'] LOOP
    EXECUTE format('ALTER FUNCTION app.number_events(integer) SET %s = off', o);
  END LOOP;
END $$;
