-- Figures of a programme, counted for its owner, for those over its owner, and for each school of its own part.
--
-- Each function asks first whose part of a programme the caller may count (app.programmes_counted) and answers sums
-- and counts of that part alone, never a row of a pupil. Rounding and suppression are the caller's house's (dashboards).
--
-- `p_on`: nothing that happened after that day counts (Europe/London). `p_known`, if given: only what was recorded by
-- then. Reports, moves, no-shows, ledger entries, costs and the history of the programme's parts are append-only, so that
-- the same pair gives the same answer for good.

-- Whose programmes the caller may count beside its own: an authority's hubs', the national body's authorities' and hubs'.
-- Not granted to anyone.
CREATE FUNCTION app.owners_below() RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  WITH RECURSIVE below AS (
    SELECT app.org() AS id WHERE app.kind() IN ('authority', 'national')
    UNION
    SELECT m.member_id FROM below b JOIN memberships m ON m.parent_id = b.id AND m.kind IN ('authority', 'national')
     WHERE m.starts_on <= app.today() AND (m.ends_on IS NULL OR m.ends_on > app.today())
  )
  SELECT coalesce(array_agg(id), '{}') FROM below
$$;

-- The programmes that an authority or the national body may count, their strands and their schools. Row security shows it
-- its own alone, and REST is run by owners and schools; these are for the dashboards.
CREATE FUNCTION app.programmes_below() RETURNS SETOF programmes
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT p.* FROM programmes p WHERE p.owner_id = ANY (app.owners_below())
$$;
CREATE FUNCTION app.strands_below() RETURNS SETOF strands
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT s.* FROM strands s WHERE s.owner_id = ANY (app.owners_below())
$$;
CREATE FUNCTION app.programme_schools_below() RETURNS SETOF programme_schools
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT s.* FROM programme_schools s WHERE s.owner_id = ANY (app.owners_below())
$$;

-- A booking's moves say which programme it was part of: those made before they did are given it now.
UPDATE booking_moves m SET programme_id = b.programme_id, strand_id = b.strand_id FROM bookings b
 WHERE b.id = m.booking_id AND b.programme_id IS NOT NULL AND m.programme_id IS NULL AND m.action <> 'assign'
   AND NOT EXISTS (SELECT 1 FROM booking_moves o WHERE o.booking_id = m.booking_id AND o.action = 'assign');
CREATE INDEX ix_booking_moves_programme_id ON booking_moves (programme_id, booking_id) WHERE programme_id IS NOT NULL;

-- The academic year of a moment, by its day in London.
CREATE FUNCTION app.academic_year_of(p_at timestamptz) RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT (extract(year FROM p_at AT TIME ZONE 'Europe/London')
          - CASE WHEN extract(month FROM p_at AT TIME ZONE 'Europe/London') < 9 THEN 1 ELSE 0 END)::integer
$$;

-- Which of these programmes the caller may count, and whose part: `whole` for the owner and those over it, with all
-- schools that ever took part; else the caller's own schools among them. `exact`: it holds the rows of all of these
-- schools itself; a hub does not, and a trust not those of a school that is none of its academies.
-- Not granted to anyone, as the next four: only the functions below use them.
CREATE FUNCTION app.programmes_counted(p_programmes uuid[])
RETURNS TABLE (programme_id uuid, owned boolean, whole boolean, exact boolean, schools uuid[], starts_on date, ends_on date)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public ROWS 10 AS $$
  WITH asked AS (
    SELECT p.id, p.owner_id = app.org() AS owned, p.owner_id = app.org() OR p.owner_id = ANY (app.owners_below()) AS whole,
           p.starts_on, p.ends_on
      FROM programmes p WHERE p.id = ANY (p_programmes)
  ), part AS (
    SELECT a.id, a.owned, a.whole, a.starts_on, a.ends_on, coalesce(array_agg(t.school_id) FILTER (WHERE t.school_id IS NOT NULL), '{}') AS schools
      FROM asked a
      LEFT JOIN LATERAL (
        SELECT s.school_id FROM programme_schools s WHERE s.programme_id = a.id
         UNION
        SELECT b.school_id FROM bookings b WHERE b.programme_id = a.id
      ) t ON a.whole OR t.school_id = ANY (app.schools())
     GROUP BY 1, 2, 3, 4, 5
  )
  SELECT id, owned, whole, schools <@ app.schools(), schools, starts_on, ends_on
    FROM part WHERE whole OR schools <> '{}'
$$;

-- The bookings of the programmes, each with the programme and strand it was said to be part of at the last that is known:
-- a booking that is made part of another is, for all days, a booking of that other from when this is known.
CREATE FUNCTION app.programme_bookings(p_programmes uuid[], p_known timestamptz)
RETURNS TABLE (programme_id uuid, strand_id uuid, school_id uuid, id uuid, slot_id uuid, places integer,
               starts_at timestamptz, ends_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  IF p_known IS NULL THEN
    RETURN QUERY
      SELECT b.programme_id, b.strand_id, b.school_id, b.id, b.slot_id, b.places, b.starts_at, b.ends_at
        FROM app.programmes_counted(p_programmes) c
        JOIN bookings b ON b.programme_id = c.programme_id AND b.school_id = ANY (c.schools);
    RETURN;
  END IF;
  RETURN QUERY
    WITH counted AS MATERIALIZED (SELECT * FROM app.programmes_counted(p_programmes)),
    ever AS (
      SELECT b.id FROM counted c JOIN bookings b ON b.programme_id = c.programme_id
       UNION
      SELECT m.booking_id FROM counted c JOIN booking_moves m ON m.programme_id = c.programme_id
    )
    SELECT said.programme_id, said.strand_id, b.school_id, b.id, b.slot_id, b.places, b.starts_at, b.ends_at
      FROM ever e JOIN bookings b ON b.id = e.id
     CROSS JOIN LATERAL (
       SELECT x.programme_id, x.strand_id
         FROM (SELECT 1 AS rank, -m.no AS no, m.programme_id, m.strand_id FROM booking_moves m
                WHERE m.booking_id = b.id AND m.action = 'assign' AND m.recorded_at <= p_known
               UNION ALL  -- not said otherwise yet: as it was asked for
               SELECT 2, m.no, m.programme_id, m.strand_id FROM booking_moves m
                WHERE m.booking_id = b.id AND m.no = 1
                  AND EXISTS (SELECT 1 FROM booking_moves o WHERE o.booking_id = b.id AND o.action = 'assign')
               UNION ALL  -- never said otherwise
               SELECT 3, 0, b.programme_id, b.strand_id) x
        ORDER BY x.rank, x.no LIMIT 1) said
      JOIN counted c ON c.programme_id = said.programme_id AND b.school_id = ANY (c.schools);
END $$;

-- What each encounter of the programmes' bookings comes to on each day, reversals taken off. Minutes as attended, before
-- the policy's cap on a day. Every step follows an index; the planner, which cannot know how few rows there are,
-- would else read the whole country's ledger to hash it.
CREATE FUNCTION app.programme_earnings(p_programmes uuid[], p_on date, p_known timestamptz)
RETURNS TABLE (programme_id uuid, strand_id uuid, school_id uuid, participation_id uuid, enrolment_id uuid,
               person_no integer, on_date date, minutes integer, bm5 boolean, bm6 boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
  SELECT b.programme_id, b.strand_id, b.school_id, e.participation_id, e.enrolment_id, e.person_no, l.on_date,
         sum(l.in_person_minutes + l.virtual_minutes)::integer,
         sum(CASE l.entry WHEN 'reversal' THEN -1 ELSE 1 END * l.bm5::integer) > 0,
         sum(CASE l.entry WHEN 'reversal' THEN -1 ELSE 1 END * l.bm6::integer) > 0
    FROM app.programme_bookings(p_programmes, p_known) b
    JOIN encounters e ON e.booking_id = b.id AND e.school_id = b.school_id
     AND e.academic_year BETWEEN app.academic_year_of(b.starts_at) AND app.academic_year_of(b.ends_at)
    JOIN ledger_entries l ON l.encounter_id = e.id AND l.enrolment_id = e.enrolment_id AND l.entry <> 'transferred_in'
     AND l.academic_year BETWEEN e.academic_year AND e.academic_year + 1  -- of the encounter alone, so that partitions are left out
   WHERE l.on_date <= p_on AND (p_known IS NULL OR l.known_at <= p_known)
   GROUP BY 1, 2, 3, 4, 5, 6, 7, e.id
  HAVING sum(l.in_person_minutes + l.virtual_minutes) > 0
$$;

-- Who takes part on a day, as known: a row per enrolment. A school that left counts until the day it did; one that was
-- invited and has not answered has the state `invited`.
CREATE FUNCTION app.programme_enrolled(p_programmes uuid[], p_on date, p_known timestamptz)
RETURNS TABLE (programme_id uuid, strand_id uuid, school_id uuid, state text, own_budget text, recorded_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  WITH latest AS (
    SELECT DISTINCT ON (h.part_id) h.programme_id, h.school_id, h.recorded_at, h.now
      FROM app.programmes_counted(p_programmes) c
      JOIN programme_changes h ON h.programme_id = c.programme_id AND h.part = 'school' AND h.school_id = ANY (c.schools)
     WHERE p_known IS NULL OR h.recorded_at <= p_known
     ORDER BY h.part_id, h.recorded_at DESC, h.id DESC
  )
  SELECT l.programme_id, (l.now->>'strand_id')::uuid, l.school_id,
         CASE l.now->>'state' WHEN 'invited' THEN 'invited' ELSE 'enrolled' END, l.now->>'own_budget', l.recorded_at
    FROM latest l
   WHERE l.now->>'state' = 'invited'
      OR ((l.now->>'state' = 'enrolled' OR l.now->>'joined_on' IS NOT NULL)
          AND (l.now->>'joined_on' IS NULL OR (l.now->>'joined_on')::date <= p_on)
          AND (l.now->>'left_on' IS NULL OR (l.now->>'left_on')::date > p_on))
$$;

-- The bookings of the programmes as they stood at the end of a day: asked for when, answered by the employer when (a
-- counter-proposal is an answer), lapsed without one, and the state, slot and places of the last move.
CREATE FUNCTION app.programme_standing(p_programmes uuid[], p_on date, p_known timestamptz)
RETURNS TABLE (programme_id uuid, strand_id uuid, school_id uuid, booking_id uuid, asked_at timestamptz,
               answered_at timestamptz, lapsed boolean, state text, slot_id uuid, places integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
  SELECT b.programme_id, b.strand_id, b.school_id, b.id,
         min(m.at) FILTER (WHERE m.action IN ('request', 'promote')),
         min(m.at) FILTER (WHERE m.actor = 'employer' AND m.action IN ('confirm', 'counter', 'decline')),
         coalesce(bool_or(m.action = 'expire' AND m.from_state = 'requested'), false),
         (array_agg(m.to_state ORDER BY m.no DESC))[1],
         coalesce((array_agg(m.to_slot_id ORDER BY m.no DESC))[1], b.slot_id),
         coalesce(nullif((array_agg(m.places ORDER BY m.no DESC))[1], 0), b.places)
    FROM app.programme_bookings(p_programmes, p_known) b
    JOIN booking_moves m ON m.booking_id = b.id
   WHERE (m.at AT TIME ZONE 'Europe/London')::date <= p_on AND (p_known IS NULL OR m.recorded_at <= p_known)
   GROUP BY b.programme_id, b.strand_id, b.school_id, b.id, b.slot_id, b.places
$$;

-- The figures of each strand, of what was booked without one (grouped 'none'), and of the programme ('all').
--
-- A person counts once in each group. `expected` are pupils' sittings of which somebody reported that the pupil came or
-- did not (or minutes were credited), `no_shows` those for which a no-show was opened; a sitting that was closed, or for
-- which the pupil was excused, was not expected. `costed_*` are of schools with money spent on the group: arrays
-- of equal length, a place per school. `hours` are whole seconds from request to answer, in order.
CREATE FUNCTION app.programme_figures(p_programmes uuid[], p_on date, p_known timestamptz)
RETURNS TABLE (programme_id uuid, grouped text, strand_id uuid, whole boolean, exact boolean, schools integer,
               schools_unknown integer, young_people integer, minutes bigint, squares numeric, days bigint, bm5 integer,
               bm6 integer, expected_people integer, expected integer, no_shows integer, costed_people integer,
               costed_minutes bigint[], spent bigint[], spent_by_programme bigint[], lapsed integer, seconds bigint[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  WITH counted AS MATERIALIZED (SELECT * FROM app.programmes_counted(p_programmes)),
  booking AS MATERIALIZED (SELECT * FROM app.programme_bookings(p_programmes, p_known)),
  earned AS MATERIALIZED (SELECT * FROM app.programme_earnings(p_programmes, p_on, p_known)),
  standing AS MATERIALIZED (SELECT * FROM app.programme_standing(p_programmes, p_on, p_known)),
  enrolled AS MATERIALIZED (
    SELECT * FROM app.programme_enrolled(p_programmes, p_on, p_known) e WHERE e.state = 'enrolled'
  ),
  groups AS (
    SELECT s.programme_id, 'strand' AS grouped, s.id AS strand_id FROM counted c JOIN strands s ON s.programme_id = c.programme_id
    UNION ALL SELECT c.programme_id, 'none', NULL FROM counted c
    UNION ALL SELECT c.programme_id, 'all', NULL FROM counted c
  ),
  -- Every row counts in the group of its strand and in that of the whole.
  person AS (
    SELECT d.programme_id, d.grouped, d.strand_id, d.person_no, sum(d.minutes) AS minutes, count(*) AS days,
           bool_or(d.bm5) AS bm5, bool_or(d.bm6) AS bm6
      FROM (SELECT e.programme_id, g.grouped, g.strand_id, e.person_no, e.on_date, sum(e.minutes) AS minutes,
                   bool_or(e.bm5) AS bm5, bool_or(e.bm6) AS bm6
              FROM earned e
             CROSS JOIN LATERAL (VALUES (CASE WHEN e.strand_id IS NULL THEN 'none' ELSE 'strand' END, e.strand_id),
                                        ('all', NULL::uuid)) g (grouped, strand_id)
             GROUP BY 1, 2, 3, 4, 5) d
     GROUP BY 1, 2, 3, 4
  ),
  people AS (
    SELECT p.programme_id, p.grouped, p.strand_id, count(*)::integer AS young_people, sum(p.minutes)::bigint AS minutes,
           sum(p.minutes * p.minutes)::numeric AS squares, sum(p.days)::bigint AS days,
           (count(*) FILTER (WHERE p.bm5))::integer AS bm5, (count(*) FILTER (WHERE p.bm6))::integer AS bm6
      FROM person p GROUP BY 1, 2, 3
  ),
  -- A school of a strand is enrolled on it, or on the programme as a whole and has asked for a booking of the strand.
  taking AS (
    SELECT e.programme_id, 'all' AS grouped, NULL::uuid AS strand_id, e.school_id FROM enrolled e
     UNION
    SELECT e.programme_id, 'strand', e.strand_id, e.school_id FROM enrolled e WHERE e.strand_id IS NOT NULL
     UNION
    SELECT s.programme_id, CASE WHEN s.strand_id IS NULL THEN 'none' ELSE 'strand' END, s.strand_id, s.school_id
      FROM standing s JOIN enrolled e ON e.programme_id = s.programme_id AND e.school_id = s.school_id
     WHERE e.strand_id IS NULL OR s.strand_id IS NULL
  ),
  without_data AS (
    SELECT t.school_id FROM (SELECT DISTINCT school_id FROM taking) t
     WHERE NOT EXISTS (SELECT 1 FROM enrolments n WHERE n.school_id = t.school_id AND n.kind = 'main'
                          AND n.state IN ('active', 'left') AND n.starts_on <= p_on
                          AND (p_known IS NULL OR n.created_at <= p_known))
  ),
  schools AS (
    SELECT t.programme_id, t.grouped, t.strand_id, count(*)::integer AS schools, count(w.school_id)::integer AS unknown
      FROM taking t LEFT JOIN without_data w ON w.school_id = t.school_id GROUP BY 1, 2, 3
  ),
  came AS (SELECT DISTINCT e.participation_id, e.on_date FROM earned e WHERE e.participation_id IS NOT NULL),
  missed AS (
    SELECT DISTINCT n.participation_sitting_id AS id FROM booking b JOIN no_shows n ON n.booking_id = b.id
     WHERE (n.opened_at AT TIME ZONE 'Europe/London')::date <= p_on AND (p_known IS NULL OR n.recorded_at <= p_known)
  ),
  sitting AS (
    SELECT b.programme_id, b.strand_id, s.person_no, missed.id IS NOT NULL AS missed,
           CASE WHEN missed.id IS NOT NULL OR came.participation_id IS NOT NULL THEN true
                ELSE EXISTS (SELECT 1 FROM attendance_reports r WHERE r.participation_sitting_id = s.id
                                AND r.status NOT IN ('expected', 'closed', 'excused')
                                AND (r.reported_at AT TIME ZONE 'Europe/London')::date <= p_on
                                AND (p_known IS NULL OR r.recorded_at <= p_known)) END AS settled
      FROM booking b JOIN participation_sittings s ON s.booking_id = b.id
      LEFT JOIN missed ON missed.id = s.id
      LEFT JOIN came ON came.participation_id = s.participation_id
                    AND came.on_date = (lower(s.during) AT TIME ZONE 'Europe/London')::date
     WHERE (lower(s.during) AT TIME ZONE 'Europe/London')::date <= p_on
  ),
  attended AS (
    SELECT s.programme_id, g.grouped, g.strand_id, count(DISTINCT s.person_no)::integer AS expected_people,
           count(*)::integer AS expected, (count(*) FILTER (WHERE s.missed))::integer AS no_shows
      FROM sitting s
     CROSS JOIN LATERAL (VALUES (CASE WHEN s.strand_id IS NULL THEN 'none' ELSE 'strand' END, s.strand_id),
                                ('all', NULL::uuid)) g (grouped, strand_id)
     WHERE s.settled
     GROUP BY 1, 2, 3
  ),
  cost AS (
    SELECT k.programme_id, g.grouped, g.strand_id, k.school_id, sum(k.amount_pence)::bigint AS spent,
           coalesce(sum(k.amount_pence) FILTER (WHERE k.paid_by = 'programme'), 0)::bigint AS spent_by_programme
      FROM counted c
      JOIN costs k ON k.programme_id = c.programme_id AND k.school_id = ANY (c.schools) AND k.stage = 'spend'
      LEFT JOIN booking b ON b.id = k.booking_id AND b.programme_id = k.programme_id
     CROSS JOIN LATERAL (SELECT coalesce(k.strand_id, b.strand_id) AS strand_id) own
     CROSS JOIN LATERAL (VALUES (CASE WHEN own.strand_id IS NULL THEN 'none' ELSE 'strand' END, own.strand_id),
                                ('all', NULL::uuid)) g (grouped, strand_id)
     WHERE k.on_date <= p_on AND CASE WHEN p_known IS NULL THEN k.removed_at IS NULL
       ELSE k.created_at <= p_known AND (k.removed_at IS NULL OR k.removed_at > p_known) END
     GROUP BY 1, 2, 3, 4
  ),
  person_at AS (
    SELECT e.programme_id, g.grouped, g.strand_id, e.school_id, e.person_no, sum(e.minutes)::bigint AS minutes
      FROM earned e
     CROSS JOIN LATERAL (VALUES (CASE WHEN e.strand_id IS NULL THEN 'none' ELSE 'strand' END, e.strand_id),
                                ('all', NULL::uuid)) g (grouped, strand_id)
     GROUP BY 1, 2, 3, 4, 5
  ),
  costed AS (
    SELECT k.programme_id, k.grouped, k.strand_id, array_agg(k.minutes ORDER BY k.school_id) AS minutes,
           array_agg(k.spent ORDER BY k.school_id) AS spent,
           array_agg(k.spent_by_programme ORDER BY k.school_id) AS spent_by_programme
      FROM (SELECT c.*, coalesce(a.minutes, 0)::bigint AS minutes
              FROM cost c
              LEFT JOIN (SELECT programme_id, grouped, strand_id, school_id, sum(minutes) AS minutes
                           FROM person_at GROUP BY 1, 2, 3, 4) a
                ON a.programme_id = c.programme_id AND a.grouped = c.grouped AND a.school_id = c.school_id
               AND a.strand_id IS NOT DISTINCT FROM c.strand_id) k
     GROUP BY 1, 2, 3
  ),
  payers AS (
    SELECT a.programme_id, a.grouped, a.strand_id, count(DISTINCT a.person_no)::integer AS people
      FROM person_at a JOIN cost k ON k.programme_id = a.programme_id AND k.grouped = a.grouped
       AND k.school_id = a.school_id AND k.strand_id IS NOT DISTINCT FROM a.strand_id
     GROUP BY 1, 2, 3
  ),
  answered AS (
    SELECT s.programme_id, g.grouped, g.strand_id,
           (count(*) FILTER (WHERE s.answered_at IS NULL AND s.lapsed))::integer AS lapsed,
           coalesce(array_agg(extract(epoch FROM s.answered_at - s.asked_at)::bigint ORDER BY s.answered_at - s.asked_at)
                      FILTER (WHERE s.answered_at >= s.asked_at), '{}') AS seconds
      FROM standing s
     CROSS JOIN LATERAL (VALUES (CASE WHEN s.strand_id IS NULL THEN 'none' ELSE 'strand' END, s.strand_id),
                                ('all', NULL::uuid)) g (grouped, strand_id)
     WHERE s.asked_at IS NOT NULL
     GROUP BY 1, 2, 3
  )
  SELECT g.programme_id, g.grouped, g.strand_id, c.whole, c.exact, coalesce(s.schools, 0), coalesce(s.unknown, 0),
         coalesce(p.young_people, 0), coalesce(p.minutes, 0), coalesce(p.squares, 0), coalesce(p.days, 0),
         coalesce(p.bm5, 0), coalesce(p.bm6, 0), coalesce(a.expected_people, 0), coalesce(a.expected, 0),
         coalesce(a.no_shows, 0), coalesce(y.people, 0), coalesce(k.minutes, '{}'), coalesce(k.spent, '{}'),
         coalesce(k.spent_by_programme, '{}'), coalesce(r.lapsed, 0), coalesce(r.seconds, '{}')
    FROM groups g JOIN counted c ON c.programme_id = g.programme_id
    LEFT JOIN people p ON p.programme_id = g.programme_id AND p.grouped = g.grouped AND p.strand_id IS NOT DISTINCT FROM g.strand_id
    LEFT JOIN schools s ON s.programme_id = g.programme_id AND s.grouped = g.grouped AND s.strand_id IS NOT DISTINCT FROM g.strand_id
    LEFT JOIN attended a ON a.programme_id = g.programme_id AND a.grouped = g.grouped AND a.strand_id IS NOT DISTINCT FROM g.strand_id
    LEFT JOIN costed k ON k.programme_id = g.programme_id AND k.grouped = g.grouped AND k.strand_id IS NOT DISTINCT FROM g.strand_id
    LEFT JOIN payers y ON y.programme_id = g.programme_id AND y.grouped = g.grouped AND y.strand_id IS NOT DISTINCT FROM g.strand_id
    LEFT JOIN answered r ON r.programme_id = g.programme_id AND r.grouped = g.grouped AND r.strand_id IS NOT DISTINCT FROM g.strand_id
$$;

-- The targets as known, with what is booked towards each after the day and up to its due date (or the programme's last
-- day), and for a share who of those reached has the characteristic.
--
-- Booked are confirmed bookings as they stood at the end of the day. `named_new` are distinct pupils named in them whom
-- the target's group had not reached; `places` are all that are booked and `named` those with a name; minutes are planned, less breaks. Of a share,
-- `share_base` are those reached whose school's data hold the field group, `share_part` those with the value on the
-- first day of theirs in the group: `characteristic` is a field group (any value but the none) or `group:value`.
CREATE FUNCTION app.programme_targets(p_programmes uuid[], p_on date, p_known timestamptz)
RETURNS TABLE (programme_id uuid, target_id uuid, strand_id uuid, measure text, value bigint, characteristic text,
               due_on date, until date, whole boolean, exact boolean, invited integer, named_new integer, named integer,
               places integer, named_minutes bigint, booked_minutes bigint, share_base integer, share_part integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  WITH counted AS MATERIALIZED (SELECT * FROM app.programmes_counted(p_programmes)),
  target AS MATERIALIZED (
    SELECT t.programme_id, t.part_id AS id, (t.now->>'strand_id')::uuid AS strand_id, t.now->>'measure' AS measure,
           (t.now->>'value')::bigint AS value, t.now->>'characteristic' AS characteristic, (t.now->>'due_on')::date AS due_on,
           coalesce((t.now->>'due_on')::date, c.ends_on) AS until, c.whole, c.exact
      FROM (SELECT DISTINCT ON (h.part_id) h.programme_id, h.part_id, h.change, h.now
              FROM counted c JOIN programme_changes h ON h.programme_id = c.programme_id AND h.part = 'target'
             WHERE p_known IS NULL OR h.recorded_at <= p_known
             ORDER BY h.part_id, h.recorded_at DESC, h.id DESC) t
      JOIN counted c ON c.programme_id = t.programme_id
     WHERE t.change <> 'removed'
  ),
  enrolled AS MATERIALIZED (SELECT * FROM app.programme_enrolled(p_programmes, p_on, p_known)),
  invited AS (
    SELECT t.id, count(DISTINCT i.school_id)::integer AS schools
      FROM target t JOIN enrolled i ON i.programme_id = t.programme_id AND i.state = 'invited'
       AND (t.strand_id IS NULL OR i.strand_id = t.strand_id)
     WHERE NOT EXISTS (SELECT 1 FROM enrolled e WHERE e.programme_id = t.programme_id AND e.school_id = i.school_id
                          AND e.state = 'enrolled' AND (t.strand_id IS NULL OR e.strand_id = t.strand_id))
     GROUP BY t.id
  ),
  earned AS MATERIALIZED (SELECT * FROM app.programme_earnings(p_programmes, p_on, p_known)),
  ahead AS (
    SELECT s.programme_id, s.strand_id, s.booking_id, s.places, x.on_day, x.minutes
      FROM app.programme_standing(p_programmes, p_on, p_known) s
     CROSS JOIN LATERAL (
       SELECT (i.starts_at AT TIME ZONE 'Europe/London')::date AS on_day,
              greatest(extract(epoch FROM i.ends_at - i.starts_at)::integer / 60 - i.break_minutes, 0) AS minutes
         FROM sittings i WHERE i.slot_id = s.slot_id) x
     WHERE s.state = 'confirmed' AND x.on_day > p_on
  ),
  named AS MATERIALIZED (
    SELECT p.booking_id, p.person_no
      FROM (SELECT DISTINCT booking_id FROM ahead) a JOIN participations p ON p.booking_id = a.booking_id
     WHERE (p_known IS NULL AND p.state <> 'withdrawn')
        OR (p.created_at <= p_known AND (p.state <> 'withdrawn' OR p.updated_at > p_known))
  ),
  booked AS (
    SELECT t.id, a.booking_id, a.places, sum(a.minutes)::bigint AS minutes,
           least((SELECT count(*) FROM named n WHERE n.booking_id = a.booking_id), a.places)::integer AS named
      FROM target t JOIN ahead a ON a.programme_id = t.programme_id AND (t.strand_id IS NULL OR a.strand_id = t.strand_id)
     WHERE a.on_day <= t.until
     GROUP BY 1, 2, 3
  ),
  coming AS (
    SELECT b.id, sum(b.named)::integer AS named, sum(b.places)::integer AS places, sum(b.named * b.minutes)::bigint AS named_minutes,
           sum(b.places * b.minutes)::bigint AS minutes
      FROM booked b GROUP BY b.id
  ),
  fresh AS (
    SELECT b.id, count(DISTINCT n.person_no)::integer AS people
      FROM booked b JOIN target t ON t.id = b.id JOIN named n ON n.booking_id = b.booking_id
     WHERE n.person_no NOT IN (SELECT e.person_no FROM earned e WHERE e.programme_id = t.programme_id
                                  AND (t.strand_id IS NULL OR e.strand_id = t.strand_id))
     GROUP BY b.id
  ),
  reached AS (
    SELECT DISTINCT ON (t.id, e.person_no) t.id, e.person_no, e.enrolment_id, e.school_id, e.on_date,
           split_part(replace(t.characteristic, '=', ':'), ':', 1) AS field_group,
           nullif(split_part(replace(t.characteristic, '=', ':'), ':', 2), '') AS value
      FROM target t JOIN earned e ON e.programme_id = t.programme_id AND (t.strand_id IS NULL OR e.strand_id = t.strand_id)
     WHERE t.measure = 'share' AND t.characteristic IS NOT NULL
     ORDER BY t.id, e.person_no, e.on_date, e.enrolment_id
  ),
  share AS (
    SELECT r.id, count(*)::integer AS base,
           (count(*) FILTER (WHERE EXISTS (
              SELECT 1 FROM characteristics k
               WHERE k.enrolment_id = r.enrolment_id AND k.field_group = r.field_group AND k.valid_from <= r.on_date
                 AND (k.valid_to IS NULL OR k.valid_to > r.on_date)
                 AND CASE WHEN p_known IS NULL THEN k.superseded_at IS NULL
                     ELSE k.recorded_at <= p_known AND (k.superseded_at IS NULL OR k.superseded_at > p_known) END
                 AND CASE WHEN r.value IS NULL THEN k.value NOT IN ('N', 'none', 'false') ELSE k.value = r.value END
           )))::integer AS part
      FROM reached r JOIN school_states s ON s.school_id = r.school_id AND r.field_group = ANY (s.field_groups)
     GROUP BY r.id
  )
  SELECT t.programme_id, t.id, t.strand_id, t.measure, t.value, t.characteristic, t.due_on, t.until, t.whole, t.exact,
         coalesce(i.schools, 0), coalesce(f.people, 0), coalesce(c.named, 0),
         coalesce(c.places, 0), coalesce(c.named_minutes, 0),
         coalesce(c.minutes, 0), coalesce(s.base, 0), coalesce(s.part, 0)
    FROM target t LEFT JOIN invited i ON i.id = t.id LEFT JOIN coming c ON c.id = t.id LEFT JOIN fresh f ON f.id = t.id
    LEFT JOIN share s ON s.id = t.id
$$;

-- Each school that takes part, with what it says of its own budget, and what was allocated, committed and spent for it: a
-- row per school, and one without a school for the programme (its budget, which only the owner reads). Money is NULL where
-- nothing was recorded. Allocations and budgets are as known; commitments and spend of days up to `p_on`.
CREATE FUNCTION app.programme_budgets(p_programmes uuid[], p_on date, p_known timestamptz)
RETURNS TABLE (programme_id uuid, school_id uuid, name text, urn text, whole boolean, enrolled boolean, own_budget text,
               budget_pence bigint, allocated bigint, committed bigint, spent bigint, spent_by_programme bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  WITH counted AS MATERIALIZED (SELECT * FROM app.programmes_counted(p_programmes)),
  latest AS (
    SELECT DISTINCT ON (h.part_id) h.programme_id, h.school_id, h.part, h.change, h.now
      FROM counted c JOIN programme_changes h ON h.programme_id = c.programme_id AND h.part IN ('programme', 'allocation')
       AND (h.part = 'programme' OR h.school_id = ANY (c.schools))
     WHERE p_known IS NULL OR h.recorded_at <= p_known
     ORDER BY h.part_id, h.recorded_at DESC, h.id DESC
  ),
  -- A school on several strands has one budget: what it said last, and rather something than nothing.
  enrolled AS (
    SELECT DISTINCT ON (e.programme_id, e.school_id) e.programme_id, e.school_id, e.own_budget
      FROM app.programme_enrolled(p_programmes, p_on, p_known) e
     WHERE e.state = 'enrolled'
     ORDER BY e.programme_id, e.school_id, e.own_budget = 'unknown', e.recorded_at DESC
  ),
  allocated AS (
    SELECT l.programme_id, l.school_id, sum((l.now->>'amount_pence')::bigint)::bigint AS pence
      FROM latest l WHERE l.part = 'allocation' AND l.change <> 'removed' GROUP BY 1, 2
  ),
  cost AS (
    SELECT k.programme_id, k.school_id, sum(k.amount_pence) FILTER (WHERE k.stage = 'commitment')::bigint AS committed,
           sum(k.amount_pence) FILTER (WHERE k.stage = 'spend')::bigint AS spent,
           CASE WHEN bool_or(k.stage = 'spend') THEN
             coalesce(sum(k.amount_pence) FILTER (WHERE k.stage = 'spend' AND k.paid_by = 'programme'), 0) END::bigint AS own
      FROM counted c JOIN costs k ON k.programme_id = c.programme_id AND k.school_id = ANY (c.schools)
     WHERE k.on_date <= p_on AND CASE WHEN p_known IS NULL THEN k.removed_at IS NULL
       ELSE k.created_at <= p_known AND (k.removed_at IS NULL OR k.removed_at > p_known) END
     GROUP BY 1, 2
  ),
  every AS (
    SELECT e.programme_id, e.school_id FROM enrolled e
     UNION SELECT a.programme_id, a.school_id FROM allocated a
     UNION SELECT k.programme_id, k.school_id FROM cost k
  )
  SELECT v.programme_id, v.school_id, o.name, o.urn, c.whole, e.school_id IS NOT NULL, e.own_budget, NULL::bigint,
         a.pence, k.committed, k.spent, k.own
    FROM every v JOIN counted c ON c.programme_id = v.programme_id JOIN organisations o ON o.id = v.school_id
    LEFT JOIN enrolled e ON e.programme_id = v.programme_id AND e.school_id = v.school_id
    LEFT JOIN allocated a ON a.programme_id = v.programme_id AND a.school_id = v.school_id
    LEFT JOIN cost k ON k.programme_id = v.programme_id AND k.school_id = v.school_id
   UNION ALL
  SELECT c.programme_id, NULL, NULL, NULL, c.whole, false, NULL,
         (SELECT (l.now->>'budget_pence')::bigint FROM latest l
           WHERE c.owned AND l.programme_id = c.programme_id AND l.part = 'programme'), NULL, NULL, NULL, NULL
    FROM counted c
   ORDER BY 3 NULLS FIRST, 2
$$;

REVOKE ALL ON FUNCTION app.owners_below(), app.programmes_below(), app.strands_below(), app.programme_schools_below(),
  app.academic_year_of(timestamptz), app.programmes_counted(uuid[]),
  app.programme_bookings(uuid[], timestamptz),
  app.programme_earnings(uuid[], date, timestamptz), app.programme_enrolled(uuid[], date, timestamptz),
  app.programme_standing(uuid[], date, timestamptz), app.programme_figures(uuid[], date, timestamptz),
  app.programme_targets(uuid[], date, timestamptz), app.programme_budgets(uuid[], date, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.programmes_below(), app.strands_below(), app.programme_schools_below(),
  app.programme_figures(uuid[], date, timestamptz),
  app.programme_targets(uuid[], date, timestamptz), app.programme_budgets(uuid[], date, timestamptz) TO tendays_app;
