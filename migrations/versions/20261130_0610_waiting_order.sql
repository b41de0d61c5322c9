-- Free places go to those who wait, in their order, among those whom they are enough for; a newcomer takes none of them.
-- A waiting booking that cannot be promoted (its employer is suspended for the school, its site not approved any more) is set
-- aside, so that it holds nobody up; it is promoted when it can be.
ALTER TABLE bookings ADD COLUMN set_aside_at TIMESTAMP WITH TIME ZONE;
CREATE INDEX ix_bookings_waiting ON bookings (slot_id, id) WHERE state = 'waiting' AND set_aside_at IS NULL;

CREATE OR REPLACE FUNCTION app.take_places(p_slot uuid, p_school uuid, p_places integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF p_school = ANY (app.schools()) AND NOT p_school = ANY (app.writes()) THEN
    RAISE EXCEPTION 'The grant you hold is for reading only.' USING ERRCODE = 'TD403';
  END IF;
  IF NOT (p_school = ANY (app.writes()) OR app.kind() = 'system'
          OR EXISTS (SELECT 1 FROM slots WHERE id = p_slot AND employer_id = app.org())) THEN
    RAISE EXCEPTION 'school' USING ERRCODE = 'TD404';
  END IF;
  UPDATE slots s SET taken = s.taken + p_places
   WHERE s.id = p_slot AND s.state = 'open' AND s.taken + p_places <= s.capacity
     AND NOT EXISTS (SELECT 1 FROM bookings b WHERE b.slot_id = p_slot AND b.state = 'waiting' AND b.set_aside_at IS NULL
                        AND b.places <= s.capacity - s.taken);
  RETURN FOUND;
END $$;

-- The places of a waiting booking, unless one that has waited longer fits into them, too.
CREATE FUNCTION app.take_places_in_turn(p_booking uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF app.kind() <> 'system' THEN
    RAISE EXCEPTION 'booking' USING ERRCODE = 'TD404';
  END IF;
  UPDATE slots s SET taken = s.taken + w.places FROM bookings w
   WHERE w.id = p_booking AND w.state = 'waiting' AND s.id = w.slot_id
     AND s.state = 'open' AND s.taken + w.places <= s.capacity
     AND NOT EXISTS (SELECT 1 FROM bookings b WHERE b.slot_id = s.id AND b.state = 'waiting' AND b.set_aside_at IS NULL
                        AND b.id < p_booking AND b.places <= s.capacity - s.taken);
  RETURN FOUND;
END $$;
REVOKE ALL ON FUNCTION app.take_places_in_turn(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.take_places_in_turn(uuid) TO tendays_worker;

-- What a school that searches now can have: nothing while somebody waits for whom the free places are enough.
CREATE FUNCTION app.places_for_newcomers(p_slot uuid, p_free integer) RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT CASE WHEN EXISTS (SELECT 1 FROM bookings b WHERE b.slot_id = p_slot AND b.state = 'waiting'
                              AND b.set_aside_at IS NULL AND b.places <= p_free) THEN 0 ELSE p_free END
$$;
REVOKE ALL ON FUNCTION app.places_for_newcomers(uuid, integer) FROM PUBLIC;

CREATE OR REPLACE FUNCTION app.show_slot(p_slot uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  DELETE FROM open_slots WHERE slot_id = p_slot;
  INSERT INTO open_slots (slot_id, offer_id, employer_id, site_id, restricted, employer_name, size_band, site_name, town,
         postcode_area, title, kind, mode, grouping, tier, sector, activity_band, skills, year_groups, year_mask,
         criteria, starts_at, ends_at, minutes, book_by, capacity, places_left)
  SELECT s.id, o.id, s.employer_id, s.site_id, o.restricted, org.name, e.size_band, site.name, site.town,
         split_part(site.postcode, ' ', 1), o.title, o.kind, o.mode, o.grouping, o.tier, o.sector, o.activity_band,
         o.skills, o.year_groups, o.year_mask, o.criteria, s.starts_at, s.ends_at, s.minutes, s.book_by, s.capacity,
         app.places_for_newcomers(s.id, s.capacity - s.taken)
    FROM slots s JOIN offers o ON o.id = s.offer_id JOIN employers e ON e.id = s.employer_id
    JOIN organisations org ON org.id = s.employer_id JOIN sites site ON site.id = s.site_id
   WHERE s.id = p_slot AND s.state = 'open' AND o.state = 'open' AND site.state = 'open' AND org.status = 'active';
END $$;

CREATE OR REPLACE FUNCTION app.slot_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - 'taken' = to_jsonb(OLD) - 'taken' THEN
    UPDATE open_slots SET places_left = app.places_for_newcomers(NEW.id, NEW.capacity - NEW.taken) WHERE slot_id = NEW.id;
  ELSE
    PERFORM app.show_slot(NEW.id);
  END IF;
  RETURN NULL;
END $$;

-- Places came free, and somebody waits for them: the worker is told, and does not wait for its next turn.
CREATE FUNCTION app.places_came_free() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM bookings b WHERE b.slot_id = NEW.id AND b.state = 'waiting' AND b.set_aside_at IS NULL
                AND b.places <= NEW.capacity - NEW.taken) THEN
    PERFORM pg_notify('tendays_places', '');
  END IF;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION app.places_came_free() FROM PUBLIC;
CREATE TRIGGER slots_freed AFTER UPDATE ON slots FOR EACH ROW
  WHEN (NEW.state = 'open' AND (NEW.capacity - NEW.taken > OLD.capacity - OLD.taken OR OLD.state <> 'open'))
  EXECUTE FUNCTION app.places_came_free();

-- Somebody begins or ceases to wait: what is left for newcomers changes.
CREATE FUNCTION app.waiting_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE open_slots o SET places_left = app.places_for_newcomers(s.id, s.capacity - s.taken)
    FROM slots s WHERE s.id = NEW.slot_id AND o.slot_id = s.id
     AND o.places_left <> app.places_for_newcomers(s.id, s.capacity - s.taken);
  IF NEW.state = 'waiting' AND NEW.set_aside_at IS NULL
     AND EXISTS (SELECT 1 FROM slots s WHERE s.id = NEW.slot_id AND s.capacity - s.taken >= NEW.places) THEN
    PERFORM pg_notify('tendays_places', '');
  END IF;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION app.waiting_changed() FROM PUBLIC;
CREATE TRIGGER bookings_waiting AFTER INSERT ON bookings FOR EACH ROW
  WHEN (NEW.state = 'waiting') EXECUTE FUNCTION app.waiting_changed();
CREATE TRIGGER bookings_waited AFTER UPDATE OF state, set_aside_at ON bookings FOR EACH ROW
  WHEN (OLD.state = 'waiting' AND (NEW.state <> 'waiting' OR NEW.set_aside_at IS DISTINCT FROM OLD.set_aside_at))
  EXECUTE FUNCTION app.waiting_changed();
