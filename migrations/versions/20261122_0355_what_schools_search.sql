-- What schools search: kept fresh when an employer changes, and cheap to ask for however many restricted offers,
-- suspensions and slots there are. And a bar is for a pupil of the school that makes it.

-- The audiences of the caller, gathered once; then one probe of the index each. (As one OR over functions every row of
-- offer_audiences was read, and every function run for it.)
CREATE OR REPLACE FUNCTION app.offers_shown() RETURNS uuid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[] := app.schools(); v_today date := app.today(); v_audiences uuid[]; v uuid[];
BEGIN
  v_audiences := v_schools || app.programmes_joined() || app.org() || ARRAY(
    SELECT parent_id FROM memberships
     WHERE member_id = ANY (v_schools) AND kind = 'hub' AND starts_on <= v_today AND (ends_on IS NULL OR ends_on > v_today));
  SELECT coalesce(array_agg(DISTINCT offer_id), '{}') INTO v FROM offer_audiences WHERE audience_id = ANY (v_audiences);
  RETURN v;
END $$;

-- Employers that the caller may not book with: suspended by itself, by the national body, or by the hub or trust of each
-- school it acts for. (A vendor of schools in two hubs still finds one that only the other hub suspended; the request for
-- a school of the first is refused by app.is_suspended.)
CREATE OR REPLACE FUNCTION app.suspended_employers() RETURNS uuid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[] := app.schools(); v_today date := app.today(); v uuid[];
BEGIN
  IF NOT EXISTS (SELECT 1 FROM suspensions WHERE lifted_at IS NULL) THEN
    RETURN '{}';
  END IF;
  SELECT coalesce(array_agg(DISTINCT s.employer_id), '{}') INTO v
    FROM suspensions s JOIN organisations o ON o.id = s.suspended_by
   WHERE s.lifted_at IS NULL
     AND (s.suspended_by = app.org()
       OR (o.kind = 'national' AND cardinality(v_schools) > 0)
       OR (cardinality(v_schools) > 0
          AND NOT EXISTS (SELECT 1 FROM unnest(v_schools) x WHERE NOT app.is_suspended(s.employer_id, x))));
  RETURN v;
END $$;

-- coalesce() hides from the planner what it cannot know: with few employers it took the array of the suspended for all of
-- them, expected no rows, and read and sorted the whole table instead of the first page of an index.
ALTER POLICY open_slots_read ON open_slots
  USING ((SELECT app.kind()) <> 'employer' AND (NOT restricted OR offer_id = ANY ((SELECT app.offers_shown())::uuid[]))
    AND NOT coalesce(employer_id = ANY ((SELECT app.suspended_employers())::uuid[]), false));

-- The sittings of one slot must not read every slot there is.
ALTER POLICY sittings_read ON sittings
  USING (employer_id = (SELECT app.org()) OR EXISTS (SELECT 1 FROM slots s WHERE s.id = sittings.slot_id));

ALTER POLICY site_bars_insert ON site_bars
  WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[])
    AND EXISTS (SELECT 1 FROM enrolments e WHERE e.id = enrolment_id AND e.school_id = site_bars.school_id));

-- The size band and the name of an employer are part of what is searched.
CREATE FUNCTION app.employer_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM app.show_slot(id) FROM slots WHERE employer_id = NEW.id AND state = 'open';
  RETURN NULL;
END $$;
CREATE TRIGGER employers_shown AFTER UPDATE OF size_band ON employers
  FOR EACH ROW WHEN (OLD.size_band IS DISTINCT FROM NEW.size_band) EXECUTE FUNCTION app.employer_changed();
CREATE TRIGGER organisations_shown AFTER UPDATE OF name, status ON organisations
  FOR EACH ROW WHEN (NEW.kind = 'employer' AND (OLD.name, OLD.status) IS DISTINCT FROM (NEW.name, NEW.status))
  EXECUTE FUNCTION app.employer_changed();
REVOKE ALL ON FUNCTION app.employer_changed() FROM PUBLIC;

-- Whom a change of a slot concerns beside its employer. Answered to its employer alone.
CREATE FUNCTION app.schools_on_slot(p_slot uuid) RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce(array_agg(DISTINCT school_id), '{}') FROM bookings
   WHERE slot_id = p_slot AND employer_id = app.org()
     AND state IN ('waiting', 'requested', 'countered', 'confirmed', 'on_hold')
$$;
REVOKE ALL ON FUNCTION app.schools_on_slot(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.schools_on_slot(uuid) TO tendays_app;
