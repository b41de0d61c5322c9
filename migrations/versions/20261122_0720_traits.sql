-- Coverage by characteristic: who has had nothing, and how far that is from their peers.

-- Counts by school, NC year and what is told of a characteristic, live, of any schools. A group counts only at schools that
-- stand on it (school_states.field_groups): there each pupil is in exactly one row of the group, with a null value if
-- nothing was told of them (a "no" is stored as such: nothing told is not "no"). Values are those valid on p_on and, if
-- p_known is given, recorded by then and not yet superseded.
-- Not granted to anyone.
CREATE FUNCTION app.traits_of(
  p_schools uuid[], p_on date, p_year integer, p_year_only boolean, p_known timestamptz,
  p_activity integer, p_placement integer, p_week integer, p_total integer)
RETURNS TABLE (school_id uuid, nc_year text, settled_year text, field_group text, value text, pupils integer,
               reached integer, minutes bigint, days bigint, at_activity integer, at_placement integer, at_week integer,
               at_total integer, bm5 integer, bm6 integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
-- The planner takes a function for a thousand pupils, and would sort a million values on disk.
SET work_mem = '32MB' SET enable_sort = off AS $$
  WITH pupil AS MATERIALIZED (
    SELECT * FROM app.counted_pupils(p_schools, p_on, p_year, p_year_only, p_known, p_activity)
  ),
  stands AS (
    SELECT s.school_id, f AS field_group FROM school_states s, unnest(s.field_groups) f
     WHERE s.school_id = ANY (p_schools) AND f NOT IN ('identity', 'enrolment', 'access_needs')
  ),
  told AS MATERIALIZED (
    SELECT p.school_id, p.nc_year, p.settled_year, c.field_group, c.value, count(*) AS pupils,
           count(*) FILTER (WHERE p.minutes > 0) AS reached, sum(p.minutes) AS minutes, sum(p.days) AS days,
           count(*) FILTER (WHERE p.activity >= p_activity) AS at_activity,
           count(*) FILTER (WHERE p.placement >= p_placement) AS at_placement,
           count(*) FILTER (WHERE p.minutes >= p_week) AS at_week, count(*) FILTER (WHERE p.minutes >= p_total) AS at_total,
           count(*) FILTER (WHERE p.bm5 > 0) AS bm5, count(*) FILTER (WHERE p.bm6 > 0) AS bm6
      FROM pupil p JOIN characteristics c ON c.enrolment_id = p.enrolment_id
     WHERE c.school_id = ANY (p_schools) AND c.valid_from <= p_on AND (c.valid_to IS NULL OR c.valid_to > p_on)
       AND CASE WHEN p_known IS NULL THEN c.superseded_at IS NULL
                ELSE c.recorded_at <= p_known AND (c.superseded_at IS NULL OR c.superseded_at > p_known) END
     GROUP BY p.school_id, p.nc_year, p.settled_year, c.field_group, c.value
  ),
  cells AS (
    SELECT p.school_id, p.nc_year, p.settled_year, count(*) AS pupils, count(*) FILTER (WHERE p.minutes > 0) AS reached,
           sum(p.minutes) AS minutes, sum(p.days) AS days, count(*) FILTER (WHERE p.activity >= p_activity) AS at_activity,
           count(*) FILTER (WHERE p.placement >= p_placement) AS at_placement,
           count(*) FILTER (WHERE p.minutes >= p_week) AS at_week, count(*) FILTER (WHERE p.minutes >= p_total) AS at_total,
           count(*) FILTER (WHERE p.bm5 > 0) AS bm5, count(*) FILTER (WHERE p.bm6 > 0) AS bm6
      FROM pupil p GROUP BY p.school_id, p.nc_year, p.settled_year
  ),
  -- Each pupil has one value of a group or none: those with none are all, less those with one.
  rows AS (
    SELECT t.* FROM told t JOIN stands s ON s.school_id = t.school_id AND s.field_group = t.field_group
    UNION ALL
    SELECT c.school_id, c.nc_year, c.settled_year, s.field_group, NULL, c.pupils - coalesce(sum(t.pupils), 0),
           c.reached - coalesce(sum(t.reached), 0), c.minutes - coalesce(sum(t.minutes), 0),
           c.days - coalesce(sum(t.days), 0), c.at_activity - coalesce(sum(t.at_activity), 0),
           c.at_placement - coalesce(sum(t.at_placement), 0), c.at_week - coalesce(sum(t.at_week), 0),
           c.at_total - coalesce(sum(t.at_total), 0), c.bm5 - coalesce(sum(t.bm5), 0), c.bm6 - coalesce(sum(t.bm6), 0)
      FROM cells c JOIN stands s ON s.school_id = c.school_id
      LEFT JOIN told t ON t.school_id = c.school_id AND t.nc_year IS NOT DISTINCT FROM c.nc_year
                      AND t.settled_year IS NOT DISTINCT FROM c.settled_year AND t.field_group = s.field_group
     GROUP BY c.school_id, c.nc_year, c.settled_year, s.field_group, c.pupils, c.reached, c.minutes, c.days,
              c.at_activity, c.at_placement, c.at_week, c.at_total, c.bm5, c.bm6
    HAVING c.pupils > coalesce(sum(t.pupils), 0)
  )
  SELECT r.school_id, r.nc_year, r.settled_year, r.field_group, r.value, r.pupils::integer, r.reached::integer,
         r.minutes::bigint, r.days::bigint, r.at_activity::integer, r.at_placement::integer, r.at_week::integer,
         r.at_total::integer, r.bm5::integer, r.bm6::integer
    FROM rows r
$$;

-- The same for a caller, of the schools whose figures it may see; from kept rows where there are any. A vendor counts only
-- the field groups that it has been granted.
CREATE FUNCTION app.coverage_traits(
  p_schools uuid[], p_on date, p_year integer, p_year_only boolean, p_known timestamptz,
  p_activity integer, p_placement integer, p_week integer, p_total integer)
RETURNS TABLE (school_id uuid, nc_year text, settled_year text, field_group text, value text, pupils integer,
               reached integer, minutes bigint, days bigint, at_activity integer, at_placement integer, at_week integer,
               at_total integer, bm5 integer, bm6 integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[]; v_kept uuid[]; v_live uuid[]; v_every boolean := app.kind() <> 'vendor'; v_may text[];
BEGIN
  SELECT coalesce(array_agg(c.school_id), '{}') INTO v_schools FROM app.schools_counted(p_on, p_known) c
   WHERE p_schools IS NULL OR c.school_id = ANY (p_schools);
  IF NOT v_every THEN
    SELECT coalesce(array_agg(s || ' ' || f), '{}') INTO v_may
      FROM unnest(v_schools) s, unnest(app.field_groups_of(app.org(), s)) f;
  END IF;
  v_kept := app.kept_of(v_schools, p_on, p_year, p_year_only, p_known, ARRAY[p_activity, p_placement, p_week, p_total]);
  RETURN QUERY
    SELECT k.school_id, k.nc_year, k.settled_year, k.field_group, k.value, k.pupils, k.reached, k.minutes, k.days,
           k.at_activity, k.at_placement, k.at_week, k.at_total, k.bm5, k.bm6
      FROM kept_cells k
     WHERE k.school_id = ANY (v_kept) AND k.period = CASE WHEN p_year_only THEN p_year ELSE 0 END AND k.cut = 'trait'
       AND (v_every OR k.school_id || ' ' || k.field_group = ANY (v_may));
  SELECT array_agg(s) INTO v_live FROM unnest(v_schools) s WHERE s <> ALL (v_kept);
  IF v_live IS NOT NULL THEN
    RETURN QUERY
      SELECT * FROM app.traits_of(v_live, p_on, p_year, p_year_only, p_known, p_activity, p_placement, p_week, p_total) t
       WHERE v_every OR t.school_id || ' ' || t.field_group = ANY (v_may);
  END IF;
END $$;

-- Keep one school's cells of a day: all years, the academic year, and the one before as on its last day. False if
-- somebody else is at it, and of a day that is over: what happened since would be missing. One statement counts, writes,
-- and deletes the marks, all by one snapshot taken after the lock: a change that it does not see leaves a mark that it
-- does not see.
CREATE FUNCTION app.keep_cells(
  p_school uuid, p_on date, p_year integer, p_activity integer, p_placement integer, p_week integer, p_total integer)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  IF p_on < app.today() OR NOT pg_try_advisory_xact_lock(7310004, hashtext(p_school::text)) THEN
    RETURN false;
  END IF;
  PERFORM set_config('app.moved', '', true);
  WITH seen AS MATERIALIZED (SELECT m.id FROM moved_schools m WHERE m.school_id = p_school),
  asked (period, on_day, year, year_only) AS (
    VALUES (0, p_on, p_year, false), (p_year, p_on, p_year, true), (p_year - 1, make_date(p_year, 8, 31), p_year - 1, true)
  ),
  cells AS MATERIALIZED (
    SELECT a.period, c.* FROM asked a CROSS JOIN LATERAL app.cells_of(
      ARRAY[p_school], a.on_day, a.year, a.year_only, NULL, p_activity, p_placement, p_week, p_total) c
  ),
  kinds AS MATERIALIZED (
    SELECT a.period, k.* FROM asked a
     CROSS JOIN LATERAL app.kinds_of(ARRAY[p_school], a.on_day, a.year, a.year_only, NULL) k
  ),
  traits AS MATERIALIZED (
    SELECT a.period, t.* FROM asked a CROSS JOIN LATERAL app.traits_of(
      ARRAY[p_school], a.on_day, a.year, a.year_only, NULL, p_activity, p_placement, p_week, p_total) t
  ),
  gone AS (DELETE FROM kept_cells k WHERE k.school_id = p_school),
  by_year AS (
    INSERT INTO kept_cells (school_id, period, cut, nc_year, settled_year, pupils, reached, minutes, days, at_activity,
                            at_placement, at_week, at_total, bm5, bm6)
    SELECT c.school_id, c.period, 'cell', c.nc_year, c.settled_year, c.pupils, c.reached, c.minutes, c.days, c.at_activity,
           c.at_placement, c.at_week, c.at_total, c.bm5, c.bm6 FROM cells c
  ),
  by_trait AS (
    INSERT INTO kept_cells (school_id, period, cut, nc_year, settled_year, field_group, value, pupils, reached, minutes,
                            days, at_activity, at_placement, at_week, at_total, bm5, bm6)
    SELECT t.school_id, t.period, 'trait', t.nc_year, t.settled_year, t.field_group, t.value, t.pupils, t.reached,
           t.minutes, t.days, t.at_activity, t.at_placement, t.at_week, t.at_total, t.bm5, t.bm6 FROM traits t
  ),
  by_kind AS (
    INSERT INTO kept_cells (school_id, period, cut, kind, reached, minutes, days, bm5, bm6)
    SELECT k.school_id, k.period, 'kind', k.kind, k.reached, k.minutes, k.days, k.bm5, k.bm6 FROM kinds k
  ),
  cleared AS (DELETE FROM moved_schools m USING seen s WHERE m.id = s.id)
  INSERT INTO kept_schools AS k (school_id, from_day, until_day, academic_year, marks, kept_at)
  SELECT p_school, p_on, app.stays_until(p_school, p_on, p_year), p_year,
         ARRAY[p_activity, p_placement, p_week, p_total], clock_timestamp()
  ON CONFLICT (school_id) DO UPDATE
     SET from_day = excluded.from_day, until_day = excluded.until_day, academic_year = excluded.academic_year,
         marks = excluded.marks, kept_at = excluded.kept_at;
  RETURN true;
END $$;

REVOKE ALL ON FUNCTION app.keep_cells(uuid, date, integer, integer, integer, integer, integer),
  app.traits_of(uuid[], date, integer, boolean, timestamptz, integer, integer, integer, integer),
  app.coverage_traits(uuid[], date, integer, boolean, timestamptz, integer, integer, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  app.coverage_traits(uuid[], date, integer, boolean, timestamptz, integer, integer, integer, integer) TO tendays_app;
GRANT EXECUTE ON FUNCTION app.keep_cells(uuid, date, integer, integer, integer, integer, integer) TO tendays_worker;
