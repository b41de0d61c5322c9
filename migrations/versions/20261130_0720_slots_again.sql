-- Of slots of the caller's: those with an occurrence that somebody was ever named for, so that their times stay.
CREATE FUNCTION app.slots_in_use(p_slots uuid[]) RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce(array_agg(DISTINCT t.slot_id), '{}')
    FROM slots s JOIN sittings t ON t.slot_id = s.id
   WHERE s.id = ANY (p_slots) AND s.employer_id = app.org()
     AND EXISTS (SELECT 1 FROM participation_sittings p WHERE p.sitting_id = t.id)
$$;

-- As app.schools_on_slot, for many slots of the caller's at once.
CREATE FUNCTION app.schools_on_slots(p_slots uuid[]) RETURNS TABLE (slot_id uuid, school_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT DISTINCT b.slot_id, b.school_id FROM bookings b
   WHERE b.slot_id = ANY (p_slots) AND b.employer_id = app.org()
     AND b.state IN ('waiting', 'requested', 'countered', 'confirmed', 'on_hold')
$$;
REVOKE ALL ON FUNCTION app.slots_in_use(uuid[]), app.schools_on_slots(uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.slots_in_use(uuid[]), app.schools_on_slots(uuid[]) TO tendays_app, tendays_worker;
