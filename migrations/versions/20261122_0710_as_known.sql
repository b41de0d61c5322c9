-- Figures as at any day and as known at any moment: what was overwritten until now is kept, version by version, and
-- who is counted with what they had attained is answered from it and from the ledger.

-- What decides whose figures count, as it was known from one moment until (and without) another, in wall time.
-- Nobody is granted anything on these: only definer functions read them. A version is as old as its transaction.
CREATE TABLE enrolments_known (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    enrolment_id UUID NOT NULL,
    school_id UUID NOT NULL,
    person_id UUID NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    starts_on DATE NOT NULL,
    ends_on DATE,
    date_of_birth DATE NOT NULL,
    known_from TIMESTAMP WITH TIME ZONE NOT NULL,
    known_to TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_enrolments_known PRIMARY KEY (id)
);

CREATE INDEX ix_enrolments_known_enrolment_id ON enrolments_known (enrolment_id);
CREATE INDEX ix_enrolments_known_school_id ON enrolments_known (school_id);
CREATE INDEX ix_enrolments_known_second ON enrolments_known (person_id) WHERE kind <> 'main';

CREATE TABLE nc_years_known (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    enrolment_id UUID NOT NULL,
    academic_year INTEGER NOT NULL,
    school_id UUID NOT NULL,
    nc_year TEXT NOT NULL,
    known_from TIMESTAMP WITH TIME ZONE NOT NULL,
    known_to TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_nc_years_known PRIMARY KEY (id)
);

CREATE INDEX ix_nc_years_known_enrolment_id ON nc_years_known (enrolment_id, academic_year);
CREATE INDEX ix_nc_years_known_school_id ON nc_years_known (school_id, academic_year);

CREATE TABLE memberships_known (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    membership_id UUID NOT NULL,
    member_id UUID NOT NULL,
    parent_id UUID NOT NULL,
    kind TEXT NOT NULL,
    starts_on DATE NOT NULL,
    ends_on DATE,
    known_from TIMESTAMP WITH TIME ZONE NOT NULL,
    known_to TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_memberships_known PRIMARY KEY (id)
);

CREATE INDEX ix_memberships_known_membership_id ON memberships_known (membership_id);
CREATE INDEX ix_memberships_known_member_id ON memberships_known (member_id, kind);
CREATE INDEX ix_memberships_known_parent_id ON memberships_known (parent_id, kind);

ALTER TABLE enrolments_known ENABLE ROW LEVEL SECURITY;
ALTER TABLE enrolments_known FORCE ROW LEVEL SECURITY;
CREATE POLICY enrolments_known_owner ON enrolments_known TO tendays_owner USING (true) WITH CHECK (true);
ALTER TABLE nc_years_known ENABLE ROW LEVEL SECURITY;
ALTER TABLE nc_years_known FORCE ROW LEVEL SECURITY;
CREATE POLICY nc_years_known_owner ON nc_years_known TO tendays_owner USING (true) WITH CHECK (true);
ALTER TABLE memberships_known ENABLE ROW LEVEL SECURITY;
ALTER TABLE memberships_known FORCE ROW LEVEL SECURITY;
CREATE POLICY memberships_known_owner ON memberships_known TO tendays_owner USING (true) WITH CHECK (true);

-- What is there already was known since the row says so; what it was before nobody has kept.
INSERT INTO enrolments_known (enrolment_id, school_id, person_id, kind, state, starts_on, ends_on, date_of_birth, known_from)
SELECT id, school_id, person_id, kind, state, starts_on, ends_on, date_of_birth, created_at FROM enrolments;
INSERT INTO nc_years_known (enrolment_id, academic_year, school_id, nc_year, known_from)
SELECT enrolment_id, academic_year, school_id, nc_year, recorded_at FROM nc_years;
INSERT INTO memberships_known (membership_id, member_id, parent_id, kind, starts_on, ends_on, known_from)
SELECT id, member_id, parent_id, kind, starts_on, ends_on, created_at FROM memberships;

-- A version ends when the next begins. Of two transactions the one that commits later may have begun earlier: its
-- version begins where the open one did, so that no moment has two. A new row is known since it says (a history that
-- is loaded later says when it was known), but never from the future.
CREATE FUNCTION app.keep_enrolments() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO enrolments_known
           (enrolment_id, school_id, person_id, kind, state, starts_on, ends_on, date_of_birth, known_from)
    SELECT n.id, n.school_id, n.person_id, n.kind, n.state, n.starts_on, n.ends_on, n.date_of_birth,
           least(n.created_at, now()) FROM new_rows n;
  ELSIF TG_OP = 'DELETE' THEN
    UPDATE enrolments_known k SET known_to = greatest(now(), k.known_from)
      FROM old_rows o WHERE k.enrolment_id = o.id AND k.known_to IS NULL;
  ELSE
    WITH changed AS (
      SELECT n.* FROM new_rows n JOIN old_rows o ON o.id = n.id
       WHERE (n.school_id, n.person_id, n.kind, n.state, n.starts_on, n.ends_on, n.date_of_birth)
             IS DISTINCT FROM (o.school_id, o.person_id, o.kind, o.state, o.starts_on, o.ends_on, o.date_of_birth)
    ), closed AS (
      UPDATE enrolments_known k SET known_to = greatest(now(), k.known_from)
        FROM changed c WHERE k.enrolment_id = c.id AND k.known_to IS NULL
      RETURNING k.enrolment_id, k.known_to
    )
    INSERT INTO enrolments_known
           (enrolment_id, school_id, person_id, kind, state, starts_on, ends_on, date_of_birth, known_from)
    SELECT c.id, c.school_id, c.person_id, c.kind, c.state, c.starts_on, c.ends_on, c.date_of_birth,
           coalesce(k.known_to, now()) FROM changed c LEFT JOIN closed k ON k.enrolment_id = c.id;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION app.keep_nc_years() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO nc_years_known (enrolment_id, academic_year, school_id, nc_year, known_from)
    SELECT n.enrolment_id, n.academic_year, n.school_id, n.nc_year, least(n.recorded_at, now()) FROM new_rows n;
  ELSIF TG_OP = 'DELETE' THEN
    UPDATE nc_years_known k SET known_to = greatest(now(), k.known_from) FROM old_rows o
     WHERE k.enrolment_id = o.enrolment_id AND k.academic_year = o.academic_year AND k.known_to IS NULL;
  ELSE
    WITH changed AS (
      SELECT n.* FROM new_rows n
        JOIN old_rows o ON o.enrolment_id = n.enrolment_id AND o.academic_year = n.academic_year
       WHERE (n.school_id, n.nc_year) IS DISTINCT FROM (o.school_id, o.nc_year)
    ), closed AS (
      UPDATE nc_years_known k SET known_to = greatest(now(), k.known_from) FROM changed c
       WHERE k.enrolment_id = c.enrolment_id AND k.academic_year = c.academic_year AND k.known_to IS NULL
      RETURNING k.enrolment_id, k.academic_year, k.known_to
    )
    INSERT INTO nc_years_known (enrolment_id, academic_year, school_id, nc_year, known_from)
    SELECT c.enrolment_id, c.academic_year, c.school_id, c.nc_year, coalesce(k.known_to, now())
      FROM changed c LEFT JOIN closed k ON k.enrolment_id = c.enrolment_id AND k.academic_year = c.academic_year;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION app.keep_memberships() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO memberships_known (membership_id, member_id, parent_id, kind, starts_on, ends_on, known_from)
    SELECT n.id, n.member_id, n.parent_id, n.kind, n.starts_on, n.ends_on, least(n.created_at, now()) FROM new_rows n;
  ELSIF TG_OP = 'DELETE' THEN
    UPDATE memberships_known k SET known_to = greatest(now(), k.known_from)
      FROM old_rows o WHERE k.membership_id = o.id AND k.known_to IS NULL;
  ELSE
    WITH changed AS (
      SELECT n.* FROM new_rows n JOIN old_rows o ON o.id = n.id
       WHERE (n.member_id, n.parent_id, n.kind, n.starts_on, n.ends_on)
             IS DISTINCT FROM (o.member_id, o.parent_id, o.kind, o.starts_on, o.ends_on)
    ), closed AS (
      UPDATE memberships_known k SET known_to = greatest(now(), k.known_from)
        FROM changed c WHERE k.membership_id = c.id AND k.known_to IS NULL
      RETURNING k.membership_id, k.known_to
    )
    INSERT INTO memberships_known (membership_id, member_id, parent_id, kind, starts_on, ends_on, known_from)
    SELECT c.id, c.member_id, c.parent_id, c.kind, c.starts_on, c.ends_on, coalesce(k.known_to, now())
      FROM changed c LEFT JOIN closed k ON k.membership_id = c.id;
  END IF;
  RETURN NULL;
END $$;

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['enrolments', 'nc_years', 'memberships'] LOOP
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I REFERENCING NEW TABLE AS new_rows'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION app.%I()', t || '_known_new', t, 'keep_' || t);
    EXECUTE format('CREATE TRIGGER %I AFTER UPDATE ON %I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION app.%I()', t || '_known_changed', t, 'keep_' || t);
    EXECUTE format('CREATE TRIGGER %I AFTER DELETE ON %I REFERENCING OLD TABLE AS old_rows'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION app.%I()', t || '_known_gone', t, 'keep_' || t);
  END LOOP;
END $$;

-- Memberships of a day, as known at a moment (NULL: now). Not granted to anyone.
CREATE FUNCTION app.memberships_on(p_on date, p_known timestamptz)
RETURNS TABLE (member_id uuid, parent_id uuid, kind text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT m.member_id, m.parent_id, m.kind FROM memberships m
   WHERE p_known IS NULL AND m.starts_on <= p_on AND (m.ends_on IS NULL OR m.ends_on > p_on)
  UNION ALL
  SELECT k.member_id, k.parent_id, k.kind FROM memberships_known k
   WHERE k.known_from <= p_known AND (k.known_to IS NULL OR k.known_to > p_known)
     AND k.starts_on <= p_on AND (k.ends_on IS NULL OR k.ends_on > p_on)
$$;

-- The same as with one argument, by the memberships known at a moment. What a school or a vendor may reach is of now.
CREATE FUNCTION app.schools_counted(p_on date, p_known timestamptz) RETURNS TABLE (school_id uuid, hub_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_org uuid := app.org(); v_kind text := app.kind();
BEGIN
  IF p_known IS NULL THEN
    RETURN QUERY SELECT c.school_id, c.hub_id FROM app.schools_counted(p_on) c;
  ELSIF v_kind IN ('school', 'vendor') THEN
    RETURN QUERY SELECT s, h.parent_id FROM unnest(app.schools()) s
      LEFT JOIN app.memberships_on(p_on, p_known) h ON h.member_id = s AND h.kind = 'hub';
  ELSIF v_kind = 'trust' THEN
    RETURN QUERY SELECT t.member_id, h.parent_id FROM app.memberships_on(p_on, p_known) t
      LEFT JOIN app.memberships_on(p_on, p_known) h ON h.member_id = t.member_id AND h.kind = 'hub'
     WHERE t.kind = 'trust' AND t.parent_id = v_org;
  ELSIF v_kind = 'hub' THEN
    RETURN QUERY SELECT m.member_id, m.parent_id FROM app.memberships_on(p_on, p_known) m
     WHERE m.kind = 'hub' AND m.parent_id = v_org;
  ELSIF v_kind IN ('authority', 'national') THEN
    RETURN QUERY
      WITH RECURSIVE m AS MATERIALIZED (SELECT * FROM app.memberships_on(p_on, p_known)), below AS (
        SELECT v_org AS id
        UNION
        SELECT m.member_id FROM below b JOIN m ON m.parent_id = b.id AND m.kind IN ('authority', 'national')
      )
      SELECT m.member_id, m.parent_id FROM below b JOIN m ON m.parent_id = b.id AND m.kind = 'hub';
  END IF;
END $$;

-- The roll's state, the last sync and what is overdue are kept as of now alone: of what was known at a past moment they
-- say nothing, rather than something that was not so. Which groups of characteristics are granted is always of now.
DROP FUNCTION app.coverage_basis(date);
CREATE FUNCTION app.coverage_basis(p_on date, p_known timestamptz)
RETURNS TABLE (school_id uuid, hub_id uuid, name text, urn text, roll_complete_at timestamptz, last_sync_at timestamptz,
               field_groups text[], attendance_overdue integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT c.school_id, c.hub_id, o.name, o.urn, s.roll_complete_at, s.last_sync_at,
         coalesce(g.field_groups, '{}'), CASE WHEN p_known IS NULL THEN coalesce(s.attendance_overdue, 0) END
    FROM app.schools_counted(p_on, p_known) c JOIN organisations o ON o.id = c.school_id
    LEFT JOIN school_states g ON g.school_id = c.school_id
    LEFT JOIN school_states s ON s.school_id = c.school_id AND p_known IS NULL
   ORDER BY o.name, o.id
$$;

-- The NC year a pupil is banded by: as sent, or for X the usual year of that birth date in that academic year, as
-- rules/school_calendar.usual_nc_year. A single expression, so that Postgres writes it into the query that asks.
CREATE FUNCTION app.settled_year(p_nc_year text, p_born date, p_year integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN p_nc_year <> 'X' OR p_nc_year IS NULL THEN p_nc_year
    WHEN p_year - extract(year FROM p_born - interval '8 months')::integer < 6 THEN 'R'
    ELSE least(p_year - extract(year FROM p_born - interval '8 months')::integer - 5, 14)::text END
$$;

-- Who is counted on a day, as known at a moment (NULL: now): each person once, at their main school. Not granted.
CREATE FUNCTION app.roll_known(p_schools uuid[], p_on date, p_year integer, p_known timestamptz)
RETURNS TABLE (enrolment_id uuid, person_id uuid, school_id uuid, date_of_birth date, nc_year text, settled_year text)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 20000 SET search_path = pg_catalog, public AS $$
  SELECT e.id, e.person_id, e.school_id, e.date_of_birth, n.nc_year, app.settled_year(n.nc_year, e.date_of_birth, p_year)
    FROM enrolments e
    LEFT JOIN nc_years n ON n.enrolment_id = e.id AND n.academic_year = p_year AND n.school_id = ANY (p_schools)
   WHERE p_known IS NULL AND e.school_id = ANY (p_schools) AND e.kind = 'main'
     AND (e.state = 'active' OR (e.state = 'left' AND e.ends_on IS NOT NULL))
     AND e.starts_on <= p_on AND (e.ends_on IS NULL OR e.ends_on > p_on)
  UNION ALL
  SELECT e.enrolment_id, e.person_id, e.school_id, e.date_of_birth, n.nc_year,
         app.settled_year(n.nc_year, e.date_of_birth, p_year)
    FROM enrolments_known e
    LEFT JOIN nc_years_known n ON n.enrolment_id = e.enrolment_id AND n.academic_year = p_year
          AND n.school_id = ANY (p_schools) AND n.known_from <= p_known AND (n.known_to IS NULL OR n.known_to > p_known)
   WHERE e.known_from <= p_known AND (e.known_to IS NULL OR e.known_to > p_known)
     AND e.school_id = ANY (p_schools) AND e.kind = 'main'
     AND (e.state = 'active' OR (e.state = 'left' AND e.ends_on IS NOT NULL))
     AND e.starts_on <= p_on AND (e.ends_on IS NULL OR e.ends_on > p_on)
$$;

-- The subsidiary and guest registrations of persons, those still `claimed` left out. Not granted to anyone.
CREATE FUNCTION app.second_registrations(p_persons uuid[], p_known timestamptz)
RETURNS TABLE (enrolment_id uuid, person_id uuid, date_of_birth date)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 100 SET search_path = pg_catalog, public AS $$
  SELECT o.id, o.person_id, o.date_of_birth FROM enrolments o
   WHERE p_known IS NULL AND o.person_id = ANY (p_persons) AND o.kind <> 'main' AND o.state IN ('active', 'left')
  UNION ALL
  SELECT o.enrolment_id, o.person_id, o.date_of_birth FROM enrolments_known o
   WHERE o.known_from <= p_known AND (o.known_to IS NULL OR o.known_to > p_known)
     AND o.person_id = ANY (p_persons) AND o.kind <> 'main' AND o.state IN ('active', 'left')
$$;

-- The cap on a calendar day's minutes of the entitlement in force (NULL: none), as ledger/policies and rules/entitlement.
CREATE FUNCTION app.daily_cap(p_on date, p_known timestamptz) RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_body jsonb;
BEGIN
  SELECT d.body INTO v_body FROM dated_policies d
   WHERE d.topic = 'entitlement' AND (p_known IS NULL OR d.recorded_at <= p_known)
   ORDER BY d.starts_on <= p_on DESC, CASE WHEN d.starts_on <= p_on THEN p_on - d.starts_on ELSE d.starts_on - p_on END
   LIMIT 1;
  IF NOT FOUND THEN RETURN 300; END IF;
  RETURN (v_body->>'daily_cap')::integer;
END $$;

-- Is what has been kept as the writes happened the answer: all that is known, of a day after which nothing is counted?
CREATE FUNCTION app.is_present(p_on date, p_year integer, p_year_only boolean, p_known timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT p_known IS NULL AND (p_on >= app.today() OR (p_year_only AND p_on >= make_date(p_year + 1, 8, 31)))
$$;

-- What each registration of each pupil counted has earned by a day, as known at a moment, from the ledger alone: what
-- yearly_balances has of today. Reversed credits are left out; the cap of a day is filled as rules/entitlement does it:
-- placement in person, then what else was in person, then what was virtual. `new_days` are the calendar days on which
-- this line was the first to be credited: added up over a registration, its distinct days. Asked of one school at a time:
-- a school's entries are sorted in memory, those of a hub would not be, and it is planned once (there are many
-- partitions). Not granted to anyone.
CREATE FUNCTION app.earned_known(p_schools uuid[], p_on date, p_year integer, p_year_only boolean, p_known timestamptz)
RETURNS TABLE (main_id uuid, main_school uuid, enrolment_id uuid, academic_year integer, band_year text, kind text,
               minutes bigint, virtual_minutes bigint, days bigint, new_days bigint, bm5 bigint, bm6 bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 5000 SET search_path = pg_catalog, public SET work_mem = '32MB'
SET plan_cache_mode = force_generic_plan AS $$
DECLARE v_cap integer := app.daily_cap(p_on, p_known);
BEGIN
  RETURN QUERY
  WITH roll AS MATERIALIZED (SELECT * FROM app.roll_known(p_schools, p_on, p_year, p_known)),
  -- Registrations by number: what is sorted and hashed below is narrow.
  account AS MATERIALIZED (
    SELECT row_number() OVER ()::integer AS no, a.* FROM (
      SELECT r.enrolment_id AS main_id, r.school_id AS main_school, r.enrolment_id, r.date_of_birth, true AS is_main
        FROM roll r
      UNION ALL
      SELECT r.enrolment_id, r.school_id, s.enrolment_id, s.date_of_birth, false
        FROM app.second_registrations((SELECT array_agg(r.person_id) FROM roll r), p_known) s
        JOIN roll r ON r.person_id = s.person_id) a
  ),
  entry AS MATERIALIZED (
    SELECT a.no, l.id, l.entry, l.reverses_id, l.academic_year, l.encounter_id, l.on_date, l.nc_year, l.kind,
           l.in_person_minutes, l.virtual_minutes, l.bm5, l.bm6
      FROM ledger_entries l JOIN account a ON a.enrolment_id = l.enrolment_id
     WHERE a.is_main AND l.school_id = ANY (p_schools) AND l.on_date <= p_on
       AND (p_known IS NULL OR l.known_at <= p_known)
    UNION ALL
    SELECT a.no, l.id, l.entry, l.reverses_id, l.academic_year, l.encounter_id, l.on_date, l.nc_year, l.kind,
           l.in_person_minutes, l.virtual_minutes, l.bm5, l.bm6
      FROM (SELECT * FROM account WHERE NOT is_main) a
     CROSS JOIN LATERAL (
       SELECT x.* FROM ledger_entries x WHERE x.enrolment_id = a.enrolment_id AND x.on_date <= p_on
          AND (p_known IS NULL OR x.known_at <= p_known) OFFSET 0) l
  ),
  standing AS MATERIALIZED (
    SELECT e.no, e.academic_year, e.encounter_id, e.on_date, e.nc_year, e.kind, e.in_person_minutes, e.virtual_minutes,
           e.bm5, e.bm6
      FROM entry e
     WHERE e.entry <> 'reversal'
       AND NOT EXISTS (SELECT 1 FROM entry r WHERE r.entry = 'reversal' AND r.reverses_id = e.id AND r.no = e.no)
  ),
  part AS (
    SELECT s.no, s.on_date, s.academic_year, s.nc_year, s.kind, false AS is_virtual, s.in_person_minutes AS minutes
      FROM standing s WHERE s.in_person_minutes > 0 AND (NOT p_year_only OR s.academic_year = p_year)
    UNION ALL
    SELECT s.no, s.on_date, s.academic_year, s.nc_year, s.kind, true, s.virtual_minutes
      FROM standing s WHERE s.virtual_minutes > 0 AND (NOT p_year_only OR s.academic_year = p_year)
  ),
  filled AS (
    SELECT p.*, coalesce(sum(p.minutes) OVER (
             PARTITION BY p.no, p.on_date
             ORDER BY p.is_virtual, p.kind <> 'placement', p.nc_year COLLATE "C", p.kind COLLATE "C"
             ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
      FROM part p
  ),
  credited AS (
    SELECT f.no, f.on_date, f.academic_year, f.nc_year, f.kind, f.is_virtual, f.before,
           CASE WHEN v_cap IS NULL THEN f.minutes ELSE greatest(0, least(f.minutes, v_cap - f.before)) END AS given
      FROM filled f
  ),
  earned AS (
    SELECT c.no, c.academic_year, c.nc_year, c.kind, sum(c.given) AS minutes,
           coalesce(sum(c.given) FILTER (WHERE c.is_virtual), 0) AS virtual_minutes,
           count(DISTINCT c.on_date) FILTER (WHERE c.given > 0) AS days,
           count(*) FILTER (WHERE c.given > 0 AND c.before = 0) AS new_days, 0::bigint AS bm5, 0::bigint AS bm6
      FROM credited c GROUP BY 1, 2, 3, 4
    UNION ALL
    -- An encounter counts once, under the year and kind of its first day.
    SELECT f.no, f.academic_year, f.nc_year, f.kind, 0, 0, 0, 0, count(*) FILTER (WHERE f.bm5), count(*) FILTER (WHERE f.bm6)
      FROM (SELECT DISTINCT ON (s.encounter_id, s.no) s.no, s.academic_year, s.nc_year, s.kind, s.bm5, s.bm6
              FROM standing s ORDER BY s.encounter_id, s.no, s.on_date) f
     WHERE NOT p_year_only OR f.academic_year = p_year
     GROUP BY 1, 2, 3, 4
  ),
  -- In parts: rows of one day, year and kind that came from several encounters are credited one after another.
  whole AS (
    SELECT e.no, e.academic_year, e.nc_year, e.kind, sum(e.minutes)::bigint AS minutes,
           sum(e.virtual_minutes)::bigint AS virtual_minutes, sum(e.days)::bigint AS days,
           sum(e.new_days)::bigint AS new_days, sum(e.bm5)::bigint AS bm5, sum(e.bm6)::bigint AS bm6
      FROM earned e GROUP BY 1, 2, 3, 4
  )
  SELECT a.main_id, a.main_school, a.enrolment_id, w.academic_year,
         app.settled_year(w.nc_year, a.date_of_birth, w.academic_year), w.kind, w.minutes, w.virtual_minutes, w.days,
         w.new_days, w.bm5, w.bm6
    FROM whole w JOIN account a ON a.no = w.no;
END $$;

-- The same of today and all that is known, as it was kept while it was written. Not granted to anyone.
CREATE FUNCTION app.earned_now(p_schools uuid[], p_on date, p_year integer, p_year_only boolean)
RETURNS TABLE (main_id uuid, main_school uuid, enrolment_id uuid, academic_year integer, band_year text, kind text,
               minutes integer, virtual_minutes integer, days integer, bm5 integer, bm6 integer)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 50000 SET search_path = pg_catalog, public AS $$
  WITH roll AS MATERIALIZED (SELECT * FROM app.roll_known(p_schools, p_on, p_year, NULL))
  SELECT r.enrolment_id, r.school_id, y.enrolment_id, y.academic_year,
         app.settled_year(y.nc_year, r.date_of_birth, y.academic_year), y.kind, y.minutes, y.virtual_minutes, y.days,
         y.bm5, y.bm6
    FROM roll r JOIN yearly_balances y ON y.enrolment_id = r.enrolment_id AND y.school_id = ANY (p_schools)
   WHERE NOT p_year_only OR y.academic_year = p_year
  UNION ALL
  SELECT r.enrolment_id, r.school_id, y.enrolment_id, y.academic_year,
         app.settled_year(y.nc_year, o.date_of_birth, y.academic_year), y.kind, y.minutes, y.virtual_minutes, y.days,
         y.bm5, y.bm6
    FROM roll r
    JOIN enrolments o ON o.person_id = r.person_id AND o.kind <> 'main' AND o.state IN ('active', 'left')
    JOIN yearly_balances y ON y.enrolment_id = o.id
   WHERE NOT p_year_only OR y.academic_year = p_year
$$;

-- One row per pupil counted at their main school, with what they had attained by a day, as known at a moment (NULL:
-- all that is known now); zeros if nothing. Minutes are credited ones (after the daily cap), of all years or of the
-- academic year alone; `activity` and `placement` work towards the bands, virtual minutes up to half of p_activity.
-- Today's figures come from balances, all others from the ledger. Not granted to anyone: for definer functions that
-- have asked app.schools_counted first.
CREATE FUNCTION app.counted_pupils(
  p_schools uuid[], p_on date, p_year integer, p_year_only boolean, p_known timestamptz, p_activity integer)
RETURNS TABLE (enrolment_id uuid, person_id uuid, school_id uuid, nc_year text, settled_year text, minutes bigint,
               days bigint, activity bigint, placement bigint, bm5 bigint, bm6 bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_school uuid;
BEGIN
  IF app.is_present(p_on, p_year, p_year_only, p_known) AND NOT p_year_only THEN
    RETURN QUERY
      WITH roll AS MATERIALIZED (SELECT * FROM app.roll_known(p_schools, p_on, p_year, NULL)),
      second AS (
        SELECT r.enrolment_id AS main_id, sum(b.minutes) AS minutes, sum(b.days) AS days,
               sum(b.activity_minutes) AS activity, sum(b.placement_minutes) AS placement,
               sum(b.bm5) AS bm5, sum(b.bm6) AS bm6
          FROM roll r
          JOIN enrolments o ON o.person_id = r.person_id AND o.kind <> 'main' AND o.state IN ('active', 'left')
          JOIN balances b ON b.enrolment_id = o.id
         GROUP BY r.enrolment_id
      )
      SELECT r.enrolment_id, r.person_id, r.school_id, r.nc_year, r.settled_year,
             coalesce(b.minutes, 0) + coalesce(s.minutes, 0), coalesce(b.days, 0) + coalesce(s.days, 0),
             coalesce(b.activity_minutes, 0) + coalesce(s.activity, 0),
             coalesce(b.placement_minutes, 0) + coalesce(s.placement, 0),
             coalesce(b.bm5, 0) + coalesce(s.bm5, 0), coalesce(b.bm6, 0) + coalesce(s.bm6, 0)
        FROM roll r LEFT JOIN balances b ON b.enrolment_id = r.enrolment_id AND b.school_id = ANY (p_schools)
        LEFT JOIN second s ON s.main_id = r.enrolment_id;
  ELSIF app.is_present(p_on, p_year, p_year_only, p_known) THEN
    RETURN QUERY
      WITH earned AS (
        SELECT y.main_id, sum(y.minutes) AS minutes, sum(y.days) AS days, sum(y.bm5) AS bm5, sum(y.bm6) AS bm6,
               coalesce(sum(y.minutes - y.virtual_minutes) FILTER (WHERE y.band_year IN ('7', '8', '9')), 0)
                 + least(coalesce(sum(y.virtual_minutes) FILTER (WHERE y.band_year IN ('7', '8', '9')), 0), p_activity / 2)
                 AS activity,
               coalesce(sum(y.minutes - y.virtual_minutes)
                 FILTER (WHERE y.band_year IN ('10', '11') AND y.kind = 'placement'), 0) AS placement
          FROM app.earned_now(p_schools, p_on, p_year, true) y GROUP BY y.main_id
      )
      SELECT r.enrolment_id, r.person_id, r.school_id, r.nc_year, r.settled_year, coalesce(e.minutes, 0),
             coalesce(e.days, 0), coalesce(e.activity, 0), coalesce(e.placement, 0), coalesce(e.bm5, 0), coalesce(e.bm6, 0)
        FROM app.roll_known(p_schools, p_on, p_year, NULL) r LEFT JOIN earned e ON e.main_id = r.enrolment_id;
  ELSE
    FOREACH v_school IN ARRAY p_schools LOOP
      RETURN QUERY
        WITH each_one AS (
          SELECT y.main_id, y.enrolment_id, sum(y.minutes) AS minutes,
                 CASE WHEN p_year_only THEN sum(y.days) ELSE sum(y.new_days) END AS days, sum(y.bm5) AS bm5, sum(y.bm6) AS bm6,
                 coalesce(sum(y.minutes - y.virtual_minutes) FILTER (WHERE y.band_year IN ('7', '8', '9')), 0) AS here,
                 coalesce(sum(y.virtual_minutes) FILTER (WHERE y.band_year IN ('7', '8', '9')), 0) AS there,
                 coalesce(sum(y.minutes - y.virtual_minutes)
                   FILTER (WHERE y.band_year IN ('10', '11') AND y.kind = 'placement'), 0) AS placement
            FROM app.earned_known(ARRAY[v_school], p_on, p_year, p_year_only, p_known) y GROUP BY y.main_id, y.enrolment_id
        ),
        earned AS (
          SELECT o.main_id, sum(o.minutes)::bigint AS minutes, sum(o.days)::bigint AS days, sum(o.bm5)::bigint AS bm5,
                 sum(o.bm6)::bigint AS bm6, sum(o.placement)::bigint AS placement,
                 (sum(o.here) + CASE WHEN p_year_only THEN least(sum(o.there), p_activity / 2)
                                     ELSE sum(least(o.there, p_activity / 2)) END)::bigint AS activity
            FROM each_one o GROUP BY o.main_id
        )
        SELECT r.enrolment_id, r.person_id, r.school_id, r.nc_year, r.settled_year, coalesce(e.minutes, 0),
               coalesce(e.days, 0), coalesce(e.activity, 0), coalesce(e.placement, 0), coalesce(e.bm5, 0), coalesce(e.bm6, 0)
          FROM app.roll_known(ARRAY[v_school], p_on, p_year, p_known) r LEFT JOIN earned e ON e.main_id = r.enrolment_id;
    END LOOP;
  END IF;
END $$;

-- The same pupils by kind of experience: a row per pupil and kind that gave something. Not granted to anyone.
CREATE FUNCTION app.counted_kinds(p_schools uuid[], p_on date, p_year integer, p_year_only boolean, p_known timestamptz)
RETURNS TABLE (main_id uuid, school_id uuid, kind text, minutes bigint, days bigint, bm5 bigint, bm6 bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_school uuid;
BEGIN
  IF app.is_present(p_on, p_year, p_year_only, p_known) THEN
    RETURN QUERY
      SELECT y.main_id, y.main_school, y.kind, sum(y.minutes), sum(y.days), sum(y.bm5), sum(y.bm6)
        FROM app.earned_now(p_schools, p_on, p_year, p_year_only) y GROUP BY 1, 2, 3;
  ELSE
    FOREACH v_school IN ARRAY p_schools LOOP
      RETURN QUERY
        SELECT y.main_id, y.main_school, y.kind, sum(y.minutes)::bigint, sum(y.days)::bigint, sum(y.bm5)::bigint,
               sum(y.bm6)::bigint
          FROM app.earned_known(ARRAY[v_school], p_on, p_year, p_year_only, p_known) y GROUP BY 1, 2, 3;
    END LOOP;
  END IF;
END $$;

-- Counts by school and NC year, on a day and as known at a moment. The functions without p_known go.
DROP FUNCTION app.coverage_cells(uuid[], date, integer, boolean, integer, integer, integer, integer);
CREATE FUNCTION app.coverage_cells(
  p_schools uuid[], p_on date, p_year integer, p_year_only boolean, p_known timestamptz,
  p_activity integer, p_placement integer, p_week integer, p_total integer)
RETURNS TABLE (school_id uuid, nc_year text, settled_year text, pupils integer, reached integer, minutes bigint,
               days bigint, at_activity integer, at_placement integer, at_week integer, at_total integer,
               bm5 integer, bm6 integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[];
BEGIN
  SELECT coalesce(array_agg(c.school_id), '{}') INTO v_schools FROM app.schools_counted(p_on, p_known) c
   WHERE p_schools IS NULL OR c.school_id = ANY (p_schools);
  RETURN QUERY
    SELECT p.school_id, p.nc_year, p.settled_year, count(*)::integer,
           (count(*) FILTER (WHERE p.minutes > 0))::integer, sum(p.minutes)::bigint, sum(p.days)::bigint,
           (count(*) FILTER (WHERE p.activity >= p_activity))::integer,
           (count(*) FILTER (WHERE p.placement >= p_placement))::integer,
           (count(*) FILTER (WHERE p.minutes >= p_week))::integer,
           (count(*) FILTER (WHERE p.minutes >= p_total))::integer,
           (count(*) FILTER (WHERE p.bm5 > 0))::integer, (count(*) FILTER (WHERE p.bm6 > 0))::integer
      FROM app.counted_pupils(v_schools, p_on, p_year, p_year_only, p_known, p_activity) p
     GROUP BY p.school_id, p.nc_year, p.settled_year;
END $$;

-- Counts by school and kind of experience, of the same pupils: a pupil counts under each kind that gave minutes.
DROP FUNCTION app.coverage_kinds(uuid[], date, integer, boolean);
CREATE FUNCTION app.coverage_kinds(
  p_schools uuid[], p_on date, p_year integer, p_year_only boolean, p_known timestamptz)
RETURNS TABLE (school_id uuid, kind text, reached integer, minutes bigint, days bigint, bm5 integer, bm6 integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[];
BEGIN
  SELECT coalesce(array_agg(c.school_id), '{}') INTO v_schools FROM app.schools_counted(p_on, p_known) c
   WHERE p_schools IS NULL OR c.school_id = ANY (p_schools);
  RETURN QUERY
    SELECT p.school_id, p.kind, (count(*) FILTER (WHERE p.minutes > 0))::integer, sum(p.minutes)::bigint,
           sum(p.days)::bigint, (count(*) FILTER (WHERE p.bm5 > 0))::integer, (count(*) FILTER (WHERE p.bm6 > 0))::integer
      FROM app.counted_kinds(v_schools, p_on, p_year, p_year_only, p_known) p GROUP BY p.school_id, p.kind;
END $$;

REVOKE ALL ON FUNCTION app.keep_enrolments(), app.keep_nc_years(), app.keep_memberships(),
  app.memberships_on(date, timestamptz), app.schools_counted(date, timestamptz), app.coverage_basis(date, timestamptz),
  app.settled_year(text, date, integer), app.roll_known(uuid[], date, integer, timestamptz),
  app.second_registrations(uuid[], timestamptz), app.daily_cap(date, timestamptz),
  app.is_present(date, integer, boolean, timestamptz),
  app.earned_known(uuid[], date, integer, boolean, timestamptz), app.earned_now(uuid[], date, integer, boolean),
  app.counted_pupils(uuid[], date, integer, boolean, timestamptz, integer),
  app.counted_kinds(uuid[], date, integer, boolean, timestamptz),
  app.coverage_cells(uuid[], date, integer, boolean, timestamptz, integer, integer, integer, integer),
  app.coverage_kinds(uuid[], date, integer, boolean, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.schools_counted(date, timestamptz), app.coverage_basis(date, timestamptz),
  app.coverage_cells(uuid[], date, integer, boolean, timestamptz, integer, integer, integer, integer),
  app.coverage_kinds(uuid[], date, integer, boolean, timestamptz) TO tendays_app;
