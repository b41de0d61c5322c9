-- Coverage of today is kept per school instead of added up from its pupils at each question: docs/decisions/0010.
--
-- A school's kept rows are the answer as long as no mark says that it has moved since, and nothing has changed by the
-- calendar alone. All other schools are counted live. So an answer is exact at any time, at worst slower.

-- Counts by school: cut `cell` by NC year, `trait` also by a characteristic, `kind` by kind of experience. `period` is 0
-- for all years so far, else the academic year counted.
CREATE TABLE kept_cells (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    school_id UUID NOT NULL,
    period INTEGER NOT NULL,
    cut TEXT NOT NULL CONSTRAINT ck_kept_cells_cut_known CHECK (cut IN ('cell', 'trait', 'kind')),
    nc_year TEXT,
    settled_year TEXT,
    field_group TEXT,
    value TEXT,
    kind TEXT,
    pupils INTEGER,
    reached INTEGER NOT NULL,
    minutes BIGINT NOT NULL,
    days BIGINT NOT NULL,
    at_activity INTEGER,
    at_placement INTEGER,
    at_week INTEGER,
    at_total INTEGER,
    bm5 INTEGER NOT NULL,
    bm6 INTEGER NOT NULL,
    CONSTRAINT pk_kept_cells PRIMARY KEY (id)
);

CREATE INDEX ix_kept_cells_school_id ON kept_cells (school_id, period, cut);

-- The schools whose cells are kept: of which day they were, and until which day (without it) nothing changes by the
-- calendar alone. `marks` are the minutes to reach (activity, placement, week, total).
CREATE TABLE kept_schools (
    school_id UUID NOT NULL,
    from_day DATE NOT NULL,
    until_day DATE NOT NULL,
    academic_year INTEGER NOT NULL,
    marks INTEGER[] NOT NULL,
    kept_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_kept_schools PRIMARY KEY (school_id)
);

-- A mark: something that the figures of this school follow from has changed. Written in the transaction that changes it,
-- never updated, so that no writer waits for another; deleted by whoever keeps the school anew and has seen it.
CREATE TABLE moved_schools (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    school_id UUID NOT NULL,
    CONSTRAINT pk_moved_schools PRIMARY KEY (id)
);

CREATE INDEX ix_moved_schools_school_id ON moved_schools (school_id, id);

ALTER TABLE kept_cells ENABLE ROW LEVEL SECURITY;
ALTER TABLE kept_cells FORCE ROW LEVEL SECURITY;
CREATE POLICY kept_cells_owner ON kept_cells TO tendays_owner USING (true) WITH CHECK (true);
ALTER TABLE kept_schools ENABLE ROW LEVEL SECURITY;
ALTER TABLE kept_schools FORCE ROW LEVEL SECURITY;
CREATE POLICY kept_schools_owner ON kept_schools TO tendays_owner USING (true) WITH CHECK (true);
ALTER TABLE moved_schools ENABLE ROW LEVEL SECURITY;
ALTER TABLE moved_schools FORCE ROW LEVEL SECURITY;
CREATE POLICY moved_schools_owner ON moved_schools TO tendays_owner USING (true) WITH CHECK (true);

INSERT INTO moved_schools (school_id) SELECT DISTINCT school_id FROM enrolments;

-- Mark these schools, once in a transaction: those marked already are remembered in a setting that a rollback, also of
-- a savepoint, takes back together with the mark.
CREATE FUNCTION app.mark_moved(p_schools uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_marked text := coalesce(current_setting('app.moved', true), ''); v_school uuid;
BEGIN
  IF p_schools IS NULL THEN RETURN; END IF;
  FOREACH v_school IN ARRAY p_schools LOOP
    IF v_school IS NOT NULL AND position(v_school::text IN v_marked) = 0 THEN
      INSERT INTO moved_schools (school_id) VALUES (v_school);
      v_marked := v_marked || ' ' || v_school::text;
      IF length(v_marked) < 40000 THEN PERFORM set_config('app.moved', v_marked, true); END IF;
    END IF;
  END LOOP;
END $$;

-- The main schools of these persons, whose second registrations have moved. Their rows are locked first: whoever enters
-- one of them at another school waits (its foreign key asks for the row), and so either sees this or is seen by it.
CREATE FUNCTION app.main_schools_of(p_persons uuid[]) RETURNS uuid[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  IF p_persons IS NULL THEN RETURN '{}'; END IF;
  PERFORM 1 FROM persons p WHERE p.id = ANY (p_persons) ORDER BY p.id FOR UPDATE;
  RETURN (SELECT array_agg(DISTINCT m.school_id) FROM enrolments m WHERE m.person_id = ANY (p_persons) AND m.kind = 'main');
END $$;

-- Mark the schools of what was earned by these registrations; of a second one also the main school, where it is added.
CREATE FUNCTION app.mark_earned(p_schools uuid[], p_enrolments uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  IF p_schools IS NULL THEN RETURN; END IF;
  PERFORM app.mark_moved(p_schools || app.main_schools_of(
    (SELECT array_agg(DISTINCT e.person_id) FROM enrolments e WHERE e.id = ANY (p_enrolments) AND e.kind <> 'main')));
END $$;

-- Who has moved by a statement, on each of the tables that figures follow from. A row that is changed in nothing that
-- counts, or an account opened with nothing on it, moves nobody.
CREATE FUNCTION app.balances_moved() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[]; v_pupils uuid[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(DISTINCT n.school_id), array_agg(n.enrolment_id) INTO v_schools, v_pupils FROM new_rows n
     WHERE (n.minutes, n.days, n.activity_minutes, n.placement_minutes, n.bm5, n.bm6) <> (0, 0, 0, 0, 0, 0);
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(DISTINCT o.school_id), array_agg(o.enrolment_id) INTO v_schools, v_pupils FROM old_rows o;
  ELSE
    SELECT array_agg(DISTINCT n.school_id) || array_agg(DISTINCT o.school_id), array_agg(n.enrolment_id)
      INTO v_schools, v_pupils FROM new_rows n JOIN old_rows o ON o.enrolment_id = n.enrolment_id
     WHERE (n.school_id, n.minutes, n.days, n.activity_minutes, n.placement_minutes, n.bm5, n.bm6) IS DISTINCT FROM
           (o.school_id, o.minutes, o.days, o.activity_minutes, o.placement_minutes, o.bm5, o.bm6);
  END IF;
  PERFORM app.mark_earned(v_schools, v_pupils);
  RETURN NULL;
END $$;

CREATE FUNCTION app.yearly_balances_moved() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[]; v_pupils uuid[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(DISTINCT n.school_id), array_agg(n.enrolment_id) INTO v_schools, v_pupils FROM new_rows n
     WHERE (n.minutes, n.virtual_minutes, n.days, n.bm5, n.bm6) <> (0, 0, 0, 0, 0);
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(DISTINCT o.school_id), array_agg(o.enrolment_id) INTO v_schools, v_pupils FROM old_rows o;
  ELSE
    SELECT array_agg(DISTINCT n.school_id) || array_agg(DISTINCT o.school_id), array_agg(n.enrolment_id)
      INTO v_schools, v_pupils FROM new_rows n JOIN old_rows o ON o.enrolment_id = n.enrolment_id
       AND o.academic_year = n.academic_year AND o.nc_year = n.nc_year AND o.kind = n.kind
     WHERE (n.school_id, n.minutes, n.virtual_minutes, n.days, n.bm5, n.bm6) IS DISTINCT FROM
           (o.school_id, o.minutes, o.virtual_minutes, o.days, o.bm5, o.bm6);
  END IF;
  PERFORM app.mark_earned(v_schools, v_pupils);
  RETURN NULL;
END $$;

CREATE FUNCTION app.nc_years_moved() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(DISTINCT n.school_id) INTO v_schools FROM new_rows n;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(DISTINCT o.school_id) INTO v_schools FROM old_rows o;
  ELSE
    SELECT array_agg(DISTINCT n.school_id) || array_agg(DISTINCT o.school_id) INTO v_schools
      FROM new_rows n JOIN old_rows o ON o.enrolment_id = n.enrolment_id AND o.academic_year = n.academic_year
     WHERE (n.school_id, n.nc_year) IS DISTINCT FROM (o.school_id, o.nc_year);
  END IF;
  PERFORM app.mark_moved(v_schools);
  RETURN NULL;
END $$;

CREATE FUNCTION app.characteristics_moved() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(DISTINCT n.school_id) INTO v_schools FROM new_rows n;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(DISTINCT o.school_id) INTO v_schools FROM old_rows o;
  ELSE
    SELECT array_agg(DISTINCT n.school_id) || array_agg(DISTINCT o.school_id) INTO v_schools
      FROM new_rows n JOIN old_rows o ON o.id = n.id WHERE n IS DISTINCT FROM o;
  END IF;
  PERFORM app.mark_moved(v_schools);
  RETURN NULL;
END $$;

CREATE FUNCTION app.enrolments_moved() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[]; v_persons uuid[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(DISTINCT n.school_id), array_agg(DISTINCT n.person_id) FILTER (WHERE n.kind <> 'main')
      INTO v_schools, v_persons FROM new_rows n;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(DISTINCT o.school_id), array_agg(DISTINCT o.person_id) FILTER (WHERE o.kind <> 'main')
      INTO v_schools, v_persons FROM old_rows o;
  ELSE
    SELECT array_agg(DISTINCT n.school_id) || array_agg(DISTINCT o.school_id),
           array_agg(DISTINCT n.person_id) || array_agg(DISTINCT o.person_id)
      INTO v_schools, v_persons FROM new_rows n JOIN old_rows o ON o.id = n.id
     WHERE (n.school_id, n.person_id, n.kind, n.state, n.starts_on, n.ends_on, n.date_of_birth) IS DISTINCT FROM
           (o.school_id, o.person_id, o.kind, o.state, o.starts_on, o.ends_on, o.date_of_birth);
  END IF;
  PERFORM app.mark_moved(v_schools || app.main_schools_of(v_persons));
  RETURN NULL;
END $$;

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['balances', 'yearly_balances', 'nc_years', 'characteristics', 'enrolments'] LOOP
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I REFERENCING NEW TABLE AS new_rows'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION app.%I()', t || '_moved_new', t, t || '_moved');
    EXECUTE format('CREATE TRIGGER %I AFTER UPDATE ON %I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION app.%I()', t || '_moved_changed', t, t || '_moved');
    EXECUTE format('CREATE TRIGGER %I AFTER DELETE ON %I REFERENCING OLD TABLE AS old_rows'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION app.%I()', t || '_moved_gone', t, t || '_moved');
  END LOOP;
END $$;

-- Which groups of characteristics a school grants decides what its splits say.
CREATE FUNCTION app.school_states_moved() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM app.mark_moved(ARRAY[NEW.school_id]);
  RETURN NULL;
END $$;
CREATE TRIGGER school_states_moved_new AFTER INSERT ON school_states
  FOR EACH ROW EXECUTE FUNCTION app.school_states_moved();
CREATE TRIGGER school_states_moved AFTER UPDATE ON school_states FOR EACH ROW
  WHEN (OLD.field_groups IS DISTINCT FROM NEW.field_groups) EXECUTE FUNCTION app.school_states_moved();

-- Of these schools, those whose kept rows are the answer: no mark is there, the marks to reach are the same (NULL: they
-- do not matter), and the day is one that they were kept for; of an academic year that has ended, its last day.
CREATE FUNCTION app.kept_of(
  p_schools uuid[], p_on date, p_year integer, p_year_only boolean, p_known timestamptz, p_marks integer[])
RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce(array_agg(k.school_id), '{}') FROM kept_schools k
   WHERE p_known IS NULL AND k.school_id = ANY (p_schools) AND (p_marks IS NULL OR k.marks = p_marks)
     AND CASE WHEN p_year_only AND p_year = k.academic_year - 1 THEN p_on = make_date(k.academic_year, 8, 31)
              ELSE p_year = k.academic_year AND k.from_day <= p_on AND p_on < k.until_day END
     AND NOT EXISTS (SELECT 1 FROM moved_schools m WHERE m.school_id = k.school_id)
$$;

-- Counts by school and NC year, live, of any schools. Not granted to anyone.
CREATE FUNCTION app.cells_of(
  p_schools uuid[], p_on date, p_year integer, p_year_only boolean, p_known timestamptz,
  p_activity integer, p_placement integer, p_week integer, p_total integer)
RETURNS TABLE (school_id uuid, nc_year text, settled_year text, pupils integer, reached integer, minutes bigint,
               days bigint, at_activity integer, at_placement integer, at_week integer, at_total integer,
               bm5 integer, bm6 integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT p.school_id, p.nc_year, p.settled_year, count(*)::integer,
         (count(*) FILTER (WHERE p.minutes > 0))::integer, sum(p.minutes)::bigint, sum(p.days)::bigint,
         (count(*) FILTER (WHERE p.activity >= p_activity))::integer,
         (count(*) FILTER (WHERE p.placement >= p_placement))::integer,
         (count(*) FILTER (WHERE p.minutes >= p_week))::integer,
         (count(*) FILTER (WHERE p.minutes >= p_total))::integer,
         (count(*) FILTER (WHERE p.bm5 > 0))::integer, (count(*) FILTER (WHERE p.bm6 > 0))::integer
    FROM app.counted_pupils(p_schools, p_on, p_year, p_year_only, p_known, p_activity) p
   GROUP BY p.school_id, p.nc_year, p.settled_year
$$;

-- The same by kind of experience. Not granted to anyone.
CREATE FUNCTION app.kinds_of(
  p_schools uuid[], p_on date, p_year integer, p_year_only boolean, p_known timestamptz)
RETURNS TABLE (school_id uuid, kind text, reached integer, minutes bigint, days bigint, bm5 integer, bm6 integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT p.school_id, p.kind, (count(*) FILTER (WHERE p.minutes > 0))::integer, sum(p.minutes)::bigint,
         sum(p.days)::bigint, (count(*) FILTER (WHERE p.bm5 > 0))::integer, (count(*) FILTER (WHERE p.bm6 > 0))::integer
    FROM app.counted_kinds(p_schools, p_on, p_year, p_year_only, p_known) p GROUP BY p.school_id, p.kind
$$;

-- What the two functions that dashboards call have answered until now, from kept rows where there are any.
CREATE OR REPLACE FUNCTION app.coverage_cells(
  p_schools uuid[], p_on date, p_year integer, p_year_only boolean, p_known timestamptz,
  p_activity integer, p_placement integer, p_week integer, p_total integer)
RETURNS TABLE (school_id uuid, nc_year text, settled_year text, pupils integer, reached integer, minutes bigint,
               days bigint, at_activity integer, at_placement integer, at_week integer, at_total integer,
               bm5 integer, bm6 integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[]; v_kept uuid[]; v_live uuid[];
BEGIN
  SELECT coalesce(array_agg(c.school_id), '{}') INTO v_schools FROM app.schools_counted(p_on, p_known) c
   WHERE p_schools IS NULL OR c.school_id = ANY (p_schools);
  v_kept := app.kept_of(v_schools, p_on, p_year, p_year_only, p_known, ARRAY[p_activity, p_placement, p_week, p_total]);
  RETURN QUERY
    SELECT k.school_id, k.nc_year, k.settled_year, k.pupils, k.reached, k.minutes, k.days, k.at_activity, k.at_placement,
           k.at_week, k.at_total, k.bm5, k.bm6
      FROM kept_cells k
     WHERE k.school_id = ANY (v_kept) AND k.period = CASE WHEN p_year_only THEN p_year ELSE 0 END AND k.cut = 'cell';
  SELECT array_agg(s) INTO v_live FROM unnest(v_schools) s WHERE s <> ALL (v_kept);
  IF v_live IS NOT NULL THEN
    RETURN QUERY
      SELECT * FROM app.cells_of(v_live, p_on, p_year, p_year_only, p_known, p_activity, p_placement, p_week, p_total);
  END IF;
END $$;

CREATE OR REPLACE FUNCTION app.coverage_kinds(
  p_schools uuid[], p_on date, p_year integer, p_year_only boolean, p_known timestamptz)
RETURNS TABLE (school_id uuid, kind text, reached integer, minutes bigint, days bigint, bm5 integer, bm6 integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[]; v_kept uuid[]; v_live uuid[];
BEGIN
  SELECT coalesce(array_agg(c.school_id), '{}') INTO v_schools FROM app.schools_counted(p_on, p_known) c
   WHERE p_schools IS NULL OR c.school_id = ANY (p_schools);
  v_kept := app.kept_of(v_schools, p_on, p_year, p_year_only, p_known, NULL);
  RETURN QUERY
    SELECT k.school_id, k.kind, k.reached, k.minutes, k.days, k.bm5, k.bm6 FROM kept_cells k
     WHERE k.school_id = ANY (v_kept) AND k.period = CASE WHEN p_year_only THEN p_year ELSE 0 END AND k.cut = 'kind';
  SELECT array_agg(s) INTO v_live FROM unnest(v_schools) s WHERE s <> ALL (v_kept);
  IF v_live IS NOT NULL THEN
    RETURN QUERY SELECT * FROM app.kinds_of(v_live, p_on, p_year, p_year_only, p_known);
  END IF;
END $$;

-- Until which day (without it) a school's figures of a day stay what they are if nobody writes: a registration or a
-- characteristic begins or ends, or the academic year does.
CREATE FUNCTION app.stays_until(p_school uuid, p_on date, p_year integer) RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT least(make_date(p_year + 1, 9, 1),
    (SELECT min(e.starts_on) FROM enrolments e WHERE e.school_id = p_school AND e.starts_on > p_on),
    (SELECT min(e.ends_on) FROM enrolments e WHERE e.school_id = p_school AND e.ends_on > p_on),
    (SELECT min(c.valid_from) FROM characteristics c
      WHERE c.school_id = p_school AND c.superseded_at IS NULL AND c.valid_from > p_on),
    (SELECT min(c.valid_to) FROM characteristics c
      WHERE c.school_id = p_school AND c.superseded_at IS NULL AND c.valid_to > p_on))
$$;

-- The schools to keep anew: those with a mark, and those kept for other days or marks to reach; the longest waiting
-- first, none that was kept less than p_rest seconds ago.
CREATE FUNCTION app.schools_to_keep(p_on date, p_marks integer[], p_rest integer, p_most integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT s.school_id FROM (
      SELECT m.school_id, k.kept_at FROM (SELECT DISTINCT x.school_id FROM moved_schools x) m
        LEFT JOIN kept_schools k ON k.school_id = m.school_id
      UNION
      SELECT k.school_id, k.kept_at FROM kept_schools k
       WHERE p_on < k.from_day OR p_on >= k.until_day OR k.marks <> p_marks
    ) s
   WHERE s.kept_at IS NULL OR s.kept_at < clock_timestamp() - make_interval(secs => p_rest)
   ORDER BY s.kept_at NULLS FIRST LIMIT p_most
$$;

-- What keeps a school's cells (app.keep_cells) comes with the splits by characteristic, which it keeps as well.

REVOKE ALL ON FUNCTION app.mark_moved(uuid[]), app.main_schools_of(uuid[]), app.mark_earned(uuid[], uuid[]), app.balances_moved(), app.yearly_balances_moved(), app.nc_years_moved(),
  app.characteristics_moved(), app.enrolments_moved(), app.school_states_moved(),
  app.kept_of(uuid[], date, integer, boolean, timestamptz, integer[]),
  app.cells_of(uuid[], date, integer, boolean, timestamptz, integer, integer, integer, integer),
  app.kinds_of(uuid[], date, integer, boolean, timestamptz), app.stays_until(uuid, date, integer),
  app.schools_to_keep(date, integer[], integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.schools_to_keep(date, integer[], integer, integer) TO tendays_worker;
