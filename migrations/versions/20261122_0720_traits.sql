-- Coverage by characteristic: who has had nothing, and how far that is from their peers.

-- Counts by school, NC year and what is told of a characteristic, with the columns of app.coverage_cells. A group counts
-- only at schools that stand on it (school_states.field_groups): there each pupil is in exactly one row of the group,
-- with a null value if nothing was told of them (a "no" is stored as such: nothing told is not "no"). Values are those
-- valid on p_on and, if p_known is given, recorded by then and not yet superseded.
CREATE FUNCTION app.coverage_traits(
  p_schools uuid[], p_on date, p_year integer, p_year_only boolean, p_known timestamptz,
  p_activity integer, p_placement integer, p_week integer, p_total integer)
RETURNS TABLE (school_id uuid, nc_year text, settled_year text, field_group text, value text, pupils integer,
               reached integer, minutes bigint, days bigint, at_activity integer, at_placement integer, at_week integer,
               at_total integer, bm5 integer, bm6 integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[];
BEGIN
  SELECT coalesce(array_agg(c.school_id), '{}') INTO v_schools FROM app.schools_counted(p_on, p_known) c
   WHERE p_schools IS NULL OR c.school_id = ANY (p_schools);
  RETURN QUERY
    WITH pupil AS MATERIALIZED (
      SELECT * FROM app.counted_pupils(v_schools, p_on, p_year, p_year_only, p_known, p_activity)
    ),
    stands AS (
      SELECT s.school_id, f AS field_group FROM school_states s, unnest(s.field_groups) f
       WHERE s.school_id = ANY (v_schools) AND f NOT IN ('identity', 'enrolment', 'access_needs')
    ),
    told AS (
      SELECT c.enrolment_id, c.field_group, c.value FROM characteristics c
       WHERE c.school_id = ANY (v_schools) AND c.valid_from <= p_on AND (c.valid_to IS NULL OR c.valid_to > p_on)
         AND CASE WHEN p_known IS NULL THEN c.superseded_at IS NULL
                  ELSE c.recorded_at <= p_known AND (c.superseded_at IS NULL OR c.superseded_at > p_known) END
    )
    SELECT p.school_id, p.nc_year, p.settled_year, s.field_group, t.value, count(*)::integer,
           (count(*) FILTER (WHERE p.minutes > 0))::integer, sum(p.minutes)::bigint, sum(p.days)::bigint,
           (count(*) FILTER (WHERE p.activity >= p_activity))::integer,
           (count(*) FILTER (WHERE p.placement >= p_placement))::integer,
           (count(*) FILTER (WHERE p.minutes >= p_week))::integer,
           (count(*) FILTER (WHERE p.minutes >= p_total))::integer,
           (count(*) FILTER (WHERE p.bm5 > 0))::integer, (count(*) FILTER (WHERE p.bm6 > 0))::integer
      FROM pupil p JOIN stands s ON s.school_id = p.school_id
      LEFT JOIN told t ON t.enrolment_id = p.enrolment_id AND t.field_group = s.field_group
     GROUP BY p.school_id, p.nc_year, p.settled_year, s.field_group, t.value;
END $$;

REVOKE ALL ON FUNCTION app.coverage_traits(uuid[], date, integer, boolean, timestamptz, integer, integer, integer, integer)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  app.coverage_traits(uuid[], date, integer, boolean, timestamptz, integer, integer, integer, integer) TO tendays_app;
