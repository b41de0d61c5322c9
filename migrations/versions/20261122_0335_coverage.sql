-- Coverage: aggregates for dashboards. A hub may never read a pupil's row; these functions count for it.
--
-- Each asks first which schools the caller may count (app.schools_counted) and answers sums and counts of those
-- alone, never a row of a pupil. Rounding and suppression for hubs are done by the caller's house (rules/coverage).

-- A pupil's second registrations are few, and looked for by person.
CREATE INDEX ix_enrolments_second ON enrolments (person_id) WHERE kind <> 'main';

-- The schools whose figures the caller may see on a date, by its memberships of that date, and the hub of each.
CREATE FUNCTION app.schools_counted(p_on date) RETURNS TABLE (school_id uuid, hub_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_org uuid := app.org(); v_kind text := app.kind();
BEGIN
  IF v_kind IN ('school', 'vendor') THEN
    RETURN QUERY SELECT s, app.hub_of(s, p_on) FROM unnest(app.schools()) s;
  ELSIF v_kind = 'trust' THEN
    RETURN QUERY SELECT s, app.hub_of(s, p_on) FROM unnest(app.members_of(v_org, 'trust', p_on)) s;
  ELSIF v_kind = 'hub' THEN
    RETURN QUERY SELECT s, v_org FROM unnest(app.members_of(v_org, 'hub', p_on)) s;
  ELSIF v_kind IN ('authority', 'national') THEN
    RETURN QUERY
      WITH RECURSIVE below AS (
        SELECT v_org AS id
        UNION
        SELECT m.member_id FROM below b JOIN memberships m ON m.parent_id = b.id AND m.kind IN ('authority', 'national')
         WHERE m.starts_on <= p_on AND (m.ends_on IS NULL OR m.ends_on > p_on)
      )
      SELECT m.member_id, m.parent_id FROM below b JOIN memberships m ON m.parent_id = b.id AND m.kind = 'hub'
       WHERE m.starts_on <= p_on AND (m.ends_on IS NULL OR m.ends_on > p_on);
  END IF;
END $$;

-- What the figures of each school stand on; a row for every school counted, also one without any data.
CREATE FUNCTION app.coverage_basis(p_on date)
RETURNS TABLE (school_id uuid, hub_id uuid, name text, urn text, roll_complete_at timestamptz, last_sync_at timestamptz,
               field_groups text[], attendance_overdue integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT c.school_id, c.hub_id, o.name, o.urn, s.roll_complete_at, s.last_sync_at,
         coalesce(s.field_groups, '{}'), coalesce(s.attendance_overdue, 0)
    FROM app.schools_counted(p_on) c JOIN organisations o ON o.id = c.school_id
    LEFT JOIN school_states s ON s.school_id = c.school_id
   ORDER BY o.name, o.id
$$;

-- Who is counted on a date: each person once, at the school where their main registration is.
-- Not granted to anyone: only the functions below use it.
CREATE FUNCTION app.counted_roll(p_schools uuid[], p_on date, p_year integer)
RETURNS TABLE (enrolment_id uuid, person_id uuid, school_id uuid, nc_year text, settled_year text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT e.id, e.person_id, e.school_id, n.nc_year,
         CASE WHEN n.nc_year = 'X' THEN (
           -- the usual year of that birth date, as rules/school_calendar.usual_nc_year
           SELECT CASE WHEN u < 1 THEN 'R' ELSE least(u, 14)::text END
             FROM (SELECT p_year - (extract(year FROM e.date_of_birth)::integer + 5
                     - CASE WHEN extract(month FROM e.date_of_birth) >= 9 THEN 0 ELSE 1 END) AS u) x)
         ELSE n.nc_year END
    FROM enrolments e
    -- The schools are said again for each table, so that none is ever read for the whole country.
    LEFT JOIN nc_years n ON n.enrolment_id = e.id AND n.academic_year = p_year AND n.school_id = ANY (p_schools)
   WHERE e.school_id = ANY (p_schools) AND e.kind = 'main'
     AND (e.state = 'active' OR (e.state = 'left' AND e.ends_on IS NOT NULL))
     AND e.starts_on <= p_on AND (e.ends_on IS NULL OR e.ends_on > p_on)
$$;

-- Counts by school and NC year. Minutes and days are of all years (p_year_only false), or of the academic year p_year.
-- A pupil's subsidiary and guest registrations add to the main one; those still `claimed` do not, nor do the minutes
-- of a former main school, which come by transfer. Marks are in minutes, from the entitlement in force.
CREATE FUNCTION app.coverage_cells(
  p_schools uuid[], p_on date, p_year integer, p_year_only boolean,
  p_activity integer, p_placement integer, p_week integer, p_total integer)
RETURNS TABLE (school_id uuid, nc_year text, settled_year text, pupils integer, reached integer, minutes bigint,
               days bigint, at_activity integer, at_placement integer, at_week integer, at_total integer,
               bm5 integer, bm6 integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[];
BEGIN
  SELECT coalesce(array_agg(c.school_id), '{}') INTO v_schools FROM app.schools_counted(p_on) c
   WHERE p_schools IS NULL OR c.school_id = ANY (p_schools);
  IF NOT p_year_only THEN
    RETURN QUERY
      WITH roll AS MATERIALIZED (SELECT * FROM app.counted_roll(v_schools, p_on, p_year)),
      second AS (
        SELECT r.enrolment_id AS main_id, sum(b.minutes) AS minutes, sum(b.days) AS days,
               sum(b.activity_minutes) AS activity, sum(b.placement_minutes) AS placement,
               sum(b.bm5) AS bm5, sum(b.bm6) AS bm6
          FROM roll r
          JOIN enrolments o ON o.person_id = r.person_id AND o.kind <> 'main' AND o.state IN ('active', 'left')
          JOIN balances b ON b.enrolment_id = o.id
         GROUP BY r.enrolment_id
      ),
      pupil AS (
        SELECT r.school_id, r.nc_year, r.settled_year,
               coalesce(b.minutes, 0) + coalesce(s.minutes, 0) AS minutes, coalesce(b.days, 0) + coalesce(s.days, 0) AS days,
               coalesce(b.activity_minutes, 0) + coalesce(s.activity, 0) AS activity,
               coalesce(b.placement_minutes, 0) + coalesce(s.placement, 0) AS placement,
               coalesce(b.bm5, 0) + coalesce(s.bm5, 0) AS bm5, coalesce(b.bm6, 0) + coalesce(s.bm6, 0) AS bm6
          FROM roll r LEFT JOIN balances b ON b.enrolment_id = r.enrolment_id AND b.school_id = ANY (v_schools)
          LEFT JOIN second s ON s.main_id = r.enrolment_id
      )
      SELECT p.school_id, p.nc_year, p.settled_year, count(*)::integer,
             (count(*) FILTER (WHERE p.minutes > 0))::integer, sum(p.minutes)::bigint, sum(p.days)::bigint,
             (count(*) FILTER (WHERE p.activity >= p_activity))::integer,
             (count(*) FILTER (WHERE p.placement >= p_placement))::integer,
             (count(*) FILTER (WHERE p.minutes >= p_week))::integer,
             (count(*) FILTER (WHERE p.minutes >= p_total))::integer,
             (count(*) FILTER (WHERE p.bm5 > 0))::integer, (count(*) FILTER (WHERE p.bm6 > 0))::integer
        FROM pupil p GROUP BY p.school_id, p.nc_year, p.settled_year;
    RETURN;
  END IF;
  RETURN QUERY
    WITH roll AS MATERIALIZED (SELECT * FROM app.counted_roll(v_schools, p_on, p_year)),
    earning AS (
      SELECT r.enrolment_id AS main_id, y.* FROM roll r
        JOIN yearly_balances y ON y.enrolment_id = r.enrolment_id AND y.academic_year = p_year
                              AND y.school_id = ANY (v_schools)
      UNION ALL
      SELECT r.enrolment_id, y.* FROM roll r
        JOIN enrolments o ON o.person_id = r.person_id AND o.kind <> 'main' AND o.state IN ('active', 'left')
        JOIN yearly_balances y ON y.enrolment_id = o.id AND y.academic_year = p_year
    ),
    earned AS (
      SELECT y.main_id, sum(y.minutes) AS minutes, sum(y.days) AS days, sum(y.bm5) AS bm5, sum(y.bm6) AS bm6,
             coalesce(sum(y.minutes - y.virtual_minutes) FILTER (WHERE y.nc_year IN ('7', '8', '9')), 0)
               + least(coalesce(sum(y.virtual_minutes) FILTER (WHERE y.nc_year IN ('7', '8', '9')), 0), p_activity / 2)
               AS activity,
             coalesce(sum(y.minutes - y.virtual_minutes)
               FILTER (WHERE y.nc_year IN ('10', '11') AND y.kind = 'placement'), 0) AS placement
        FROM earning y GROUP BY y.main_id
    )
    SELECT r.school_id, r.nc_year, r.settled_year, count(*)::integer,
           (count(*) FILTER (WHERE e.minutes > 0))::integer,
           coalesce(sum(e.minutes), 0)::bigint, coalesce(sum(e.days), 0)::bigint,
           (count(*) FILTER (WHERE e.activity >= p_activity))::integer,
           (count(*) FILTER (WHERE e.placement >= p_placement))::integer,
           (count(*) FILTER (WHERE e.minutes >= p_week))::integer,
           (count(*) FILTER (WHERE e.minutes >= p_total))::integer,
           (count(*) FILTER (WHERE e.bm5 > 0))::integer, (count(*) FILTER (WHERE e.bm6 > 0))::integer
      FROM roll r LEFT JOIN earned e ON e.main_id = r.enrolment_id
     GROUP BY r.school_id, r.nc_year, r.settled_year;
END $$;

-- Counts by school and kind of experience, of the same pupils: a pupil counts under each kind that gave minutes.
CREATE FUNCTION app.coverage_kinds(p_schools uuid[], p_on date, p_year integer, p_year_only boolean)
RETURNS TABLE (school_id uuid, kind text, reached integer, minutes bigint, days bigint, bm5 integer, bm6 integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[];
BEGIN
  SELECT coalesce(array_agg(c.school_id), '{}') INTO v_schools FROM app.schools_counted(p_on) c
   WHERE p_schools IS NULL OR c.school_id = ANY (p_schools);
  RETURN QUERY
    WITH roll AS MATERIALIZED (SELECT * FROM app.counted_roll(v_schools, p_on, p_year)),
    earning AS (
      SELECT r.school_id AS main_school, r.enrolment_id AS main_id, y.* FROM roll r
        JOIN yearly_balances y ON y.enrolment_id = r.enrolment_id AND y.school_id = ANY (v_schools)
      UNION ALL
      SELECT r.school_id, r.enrolment_id, y.* FROM roll r
        JOIN enrolments o ON o.person_id = r.person_id AND o.kind <> 'main' AND o.state IN ('active', 'left')
        JOIN yearly_balances y ON y.enrolment_id = o.id
    ),
    pupil AS (
      SELECT y.main_school AS school_id, y.main_id, y.kind, sum(y.minutes) AS minutes, sum(y.days) AS days,
             sum(y.bm5) AS bm5, sum(y.bm6) AS bm6
        FROM earning y WHERE NOT p_year_only OR y.academic_year = p_year
       GROUP BY y.main_school, y.main_id, y.kind
    )
    SELECT p.school_id, p.kind, (count(*) FILTER (WHERE p.minutes > 0))::integer, sum(p.minutes)::bigint,
           sum(p.days)::bigint, (count(*) FILTER (WHERE p.bm5 > 0))::integer, (count(*) FILTER (WHERE p.bm6 > 0))::integer
      FROM pupil p GROUP BY p.school_id, p.kind;
END $$;

REVOKE ALL ON FUNCTION app.schools_counted(date), app.coverage_basis(date), app.counted_roll(uuid[], date, integer),
  app.coverage_cells(uuid[], date, integer, boolean, integer, integer, integer, integer),
  app.coverage_kinds(uuid[], date, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.schools_counted(date), app.coverage_basis(date),
  app.coverage_cells(uuid[], date, integer, boolean, integer, integer, integer, integer),
  app.coverage_kinds(uuid[], date, integer, boolean) TO tendays_app;
