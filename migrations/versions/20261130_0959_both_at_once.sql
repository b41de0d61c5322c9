-- The number of a change is no change of what is searched, and what waits leaves less for newcomers: both at once.
CREATE OR REPLACE FUNCTION app.slot_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE v_left integer;
BEGIN
  IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - ARRAY['taken', 'changed_seq'] = to_jsonb(OLD) - ARRAY['taken', 'changed_seq'] THEN
    v_left := app.places_for_newcomers(NEW.id, NEW.capacity - NEW.taken);
    UPDATE open_slots SET places_left = v_left WHERE slot_id = NEW.id AND places_left <> v_left;
  ELSE
    PERFORM app.show_slot(NEW.id);
  END IF;
  RETURN NULL;
END $$;

-- A partition of events that is dropped is noted, so that a reader whose place went with it is told.
CREATE OR REPLACE FUNCTION app.drop_old_partition(p_days integer, p_name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE v_kind text; v_begins timestamptz; v_given bigint; v_needed boolean; v_dropped bigint;
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
  IF v_kind = 'events' THEN
    EXECUTE format('SELECT max(position) FROM public.%I', p_name) INTO v_dropped;
    UPDATE change_marks SET dropped = greatest(dropped, v_dropped);
  END IF;
  EXECUTE format('DROP TABLE public.%I', p_name);
  RETURN true;
END $$;

-- Replaced by that of one partition.
DROP FUNCTION app.drop_old_partition(integer);
