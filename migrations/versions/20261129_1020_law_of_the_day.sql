-- Figures are reckoned by the law of the day that is kept as dated data: what is open to schools by the rules of cover in
-- force on a slot's last day (the function with rules of today only stays, for the release before), and the cap on a day
-- of a past moment by a policy that had begun. And a forecast has the visits of the day itself in it.

-- Open slots ahead that some of these schools could ask for now: in time, with places left, shown to the school, of an
-- employer not suspended for it, covered, on a site approved for the kind and band by someone the school relies on.
-- p_masks has the year groups of each school as bits; a slot counts for those that it admits and that the kind is
-- lawful for (p_lawful: those of a placement). Slots of the same kind are one row: the schools they are open to (as
-- positions in p_schools), the year groups, and sums. A place has the minutes that count: p_cap on a day, in person first.
-- Cover rules come as p_kinds, p_liabilities and p_pounds, each in force from p_begins until (and without) p_ends; of a
-- kind the one that began last before the slot's last day, as rules/statutes. By employer only if p_by_employer.
CREATE FUNCTION app.market_open(
  p_schools uuid[], p_masks integer[], p_until timestamptz, p_lawful integer, p_cap integer, p_kinds text[],
  p_liabilities text[], p_pounds bigint[], p_begins date[], p_ends date[], p_by_employer boolean)
RETURNS TABLE (employer_id uuid, placement boolean, year_mask integer, schools integer[], slots integer, places bigint,
               minutes bigint, here_minutes bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_now timestamptz := app.domain_now(); v_today date := app.today(); v_suspended uuid[];
BEGIN
  SELECT coalesce(array_agg(DISTINCT s.employer_id), '{}') INTO v_suspended FROM suspensions s WHERE s.lifted_at IS NULL;
  RETURN QUERY
  WITH counted AS MATERIALIZED (SELECT c.school_id, c.hub_id FROM app.schools_counted(v_today) c),
  asked AS MATERIALIZED (
    SELECT a.no::integer AS no, a.school_id, a.mask,
           ARRAY[a.school_id, c.hub_id] || ARRAY(SELECT g.programme_id FROM programme_schools g
                                                  WHERE g.school_id = a.school_id AND g.state <> 'left') AS audiences,
           a.school_id || ARRAY(SELECT x.approver_id FROM approval_acceptances x WHERE x.school_id = a.school_id) AS relied_on
      FROM unnest(p_schools, p_masks) WITH ORDINALITY a (school_id, mask, no) JOIN counted c ON c.school_id = a.school_id
  ),
  ahead AS MATERIALIZED (
    SELECT o.slot_id, o.offer_id, o.employer_id, o.site_id, o.restricted, o.kind, o.activity_band, o.places_left,
           o.year_mask & CASE o.kind WHEN 'placement' THEN p_lawful ELSE -1 END AS year_mask,
           (o.starts_at AT TIME ZONE 'Europe/London')::date AS first_on,
           (o.ends_at AT TIME ZONE 'Europe/London')::date AS last_on,
           o.mode <> 'virtual' AND o.kind NOT IN ('virtual_experience', 'school_based_encounter') AS on_site
      FROM open_slots o
     WHERE o.starts_at > v_now AND o.starts_at < p_until AND o.book_by > v_now AND o.places_left > 0
       AND o.year_mask & (SELECT coalesce(bit_or(a.mask), 0) FROM asked a) <> 0
  ),
  approved AS (
    SELECT a.slot_id, array_agg(DISTINCT p.approver_id ORDER BY p.approver_id) AS approvers
      FROM ahead a JOIN approvals p ON p.site_id = a.site_id AND p.kind = a.kind AND p.activity_band = a.activity_band
       AND p.state = 'approved' AND p.approved_on <= a.first_on AND p.expires_on >= a.last_on
     WHERE a.on_site GROUP BY a.slot_id
  ),
  ruled AS MATERIALIZED (
    SELECT DISTINCT ON (d.kind, d.last_on) d.kind, d.last_on, r.liability, r.pounds
      FROM (SELECT DISTINCT a.kind, a.last_on FROM ahead a WHERE a.on_site) d
      JOIN unnest(p_kinds, p_liabilities, p_pounds, p_begins, p_ends) r (kind, liability, pounds, begins, ends)
        ON r.kind = d.kind AND r.begins <= d.last_on AND (r.ends IS NULL OR d.last_on < r.ends)
     ORDER BY d.kind, d.last_on, r.begins DESC
  ),
  covered AS (
    SELECT a.slot_id FROM ahead a
      LEFT JOIN ruled r ON r.kind = a.kind AND r.last_on = a.last_on AND a.on_site
     WHERE r.kind IS NULL OR EXISTS (
       SELECT 1 FROM covers c
        WHERE c.employer_id = a.employer_id AND (c.site_id IS NULL OR c.site_id = a.site_id) AND c.withdrawn_at IS NULL
          AND c.liability = r.liability
          AND CASE c.kind WHEN 'taken_out_for_this_booking' THEN true
                          WHEN 'policy' THEN c.starts_on <= a.first_on AND c.expires_on >= a.last_on
                                             AND c.limit_pence / 100 >= r.pounds
                          ELSE c.attested_on <= a.last_on END)
  ),
  lasting AS (
    SELECT d.slot_id, sum(least(d.here + d.there, p_cap)) AS minutes, sum(least(d.here, p_cap)) AS here
      FROM (SELECT t.slot_id, sum(CASE WHEN t.virtual THEN 0 ELSE x.minutes END) AS here,
                   sum(CASE WHEN t.virtual THEN x.minutes ELSE 0 END) AS there
              FROM ahead a JOIN sittings t ON t.slot_id = a.slot_id
             CROSS JOIN LATERAL (SELECT floor(extract(epoch FROM t.ends_at - t.starts_at) / 60) - t.break_minutes AS minutes) x
             GROUP BY t.slot_id, (t.starts_at AT TIME ZONE 'Europe/London')::date) d
     GROUP BY d.slot_id
  ),
  alike AS MATERIALIZED (
    SELECT CASE WHEN p_by_employer THEN a.employer_id END AS employer_id, a.kind = 'placement' AS placement, a.year_mask,
           CASE WHEN a.restricted THEN a.offer_id END AS offer_id,
           CASE WHEN a.employer_id = ANY (v_suspended) THEN a.employer_id END AS suspended, p.approvers,
           count(*) AS slots, sum(a.places_left) AS places, sum(a.places_left * l.minutes) AS minutes,
           sum(a.places_left * l.here) AS here
      FROM ahead a JOIN covered c ON c.slot_id = a.slot_id JOIN lasting l ON l.slot_id = a.slot_id
      LEFT JOIN approved p ON p.slot_id = a.slot_id
     WHERE NOT a.on_site OR p.slot_id IS NOT NULL
     GROUP BY 1, 2, 3, 4, 5, 6
  ),
  shown AS (
    SELECT k.*, ARRAY(
             SELECT s.no FROM asked s
              WHERE s.mask & k.year_mask <> 0
                AND (k.offer_id IS NULL OR EXISTS (SELECT 1 FROM offer_audiences x
                                                    WHERE x.offer_id = k.offer_id AND x.audience_id = ANY (s.audiences)))
                AND (k.suspended IS NULL OR NOT app.is_suspended(k.suspended, s.school_id))
                AND (k.approvers IS NULL OR k.approvers && s.relied_on)
              ORDER BY s.no) AS schools
      FROM alike k
  )
  SELECT h.employer_id, h.placement, h.year_mask, h.schools, sum(h.slots)::integer, sum(h.places)::bigint,
         sum(h.minutes)::bigint, sum(h.here)::bigint
    FROM shown h WHERE cardinality(h.schools) > 0 GROUP BY 1, 2, 3, 4;
END $$;

-- The cap on a calendar day's minutes of the entitlement in force (NULL: none), as ledger/policies and rules/entitlement:
-- what the release brings is in force from September 2025 until the data begin.
CREATE OR REPLACE FUNCTION app.daily_cap(p_on date, p_known timestamptz) RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_body jsonb;
BEGIN
  SELECT d.body INTO v_body FROM dated_policies d
   WHERE d.topic = 'entitlement' AND (p_known IS NULL OR d.recorded_at <= p_known)
     AND d.starts_on <= greatest(p_on, DATE '2025-09-01')
   ORDER BY d.starts_on <= p_on DESC, CASE WHEN d.starts_on <= p_on THEN p_on - d.starts_on ELSE d.starts_on - p_on END
   LIMIT 1;
  IF NOT FOUND THEN RETURN 300; END IF;
  RETURN (v_body->>'daily_cap')::integer;
END $$;

-- A visit that is under way, or whose day it is, is booked until its minutes are credited: a forecast does not fall on the
-- morning of a visit, to rise again in the evening. Otherwise the function is as it was written.
CREATE OR REPLACE FUNCTION app.programme_targets(p_programmes uuid[], p_on date, p_known timestamptz)
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
              (max(i.starts_at) OVER () AT TIME ZONE 'Europe/London')::date AS last_day,
              greatest(extract(epoch FROM i.ends_at - i.starts_at)::integer / 60 - i.break_minutes, 0) AS minutes
         FROM sittings i WHERE i.slot_id = s.slot_id) x
     WHERE s.state = 'confirmed'
       AND (x.on_day > p_on OR (x.last_day >= p_on AND NOT EXISTS (
         SELECT 1 FROM earned e JOIN participations p ON p.id = e.participation_id
          WHERE p.booking_id = s.booking_id AND e.on_date = x.on_day)))
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
     WHERE t.measure IN ('share', 'young_people') AND t.characteristic IS NOT NULL
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

-- The figures of a programme as app.programme_figures has them, which stays for the release before, with the sum of the
-- squares of everybody's days: how far their mean can be trusted.
CREATE FUNCTION app.strand_figures(p_programmes uuid[], p_on date, p_known timestamptz)
RETURNS TABLE (programme_id uuid, grouped text, strand_id uuid, whole boolean, exact boolean, schools integer,
               schools_unknown integer, young_people integer, minutes bigint, squares numeric, days bigint, bm5 integer,
               bm6 integer, expected_people integer, expected integer, no_shows integer, costed_people integer,
               costed_minutes bigint[], spent bigint[], spent_by_programme bigint[], lapsed integer, seconds bigint[],
               day_squares numeric)
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
           sum(p.days * p.days)::numeric AS day_squares,
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
         coalesce(k.spent_by_programme, '{}'), coalesce(r.lapsed, 0), coalesce(r.seconds, '{}'),
         coalesce(p.day_squares, 0)
    FROM groups g JOIN counted c ON c.programme_id = g.programme_id
    LEFT JOIN people p ON p.programme_id = g.programme_id AND p.grouped = g.grouped AND p.strand_id IS NOT DISTINCT FROM g.strand_id
    LEFT JOIN schools s ON s.programme_id = g.programme_id AND s.grouped = g.grouped AND s.strand_id IS NOT DISTINCT FROM g.strand_id
    LEFT JOIN attended a ON a.programme_id = g.programme_id AND a.grouped = g.grouped AND a.strand_id IS NOT DISTINCT FROM g.strand_id
    LEFT JOIN costed k ON k.programme_id = g.programme_id AND k.grouped = g.grouped AND k.strand_id IS NOT DISTINCT FROM g.strand_id
    LEFT JOIN payers y ON y.programme_id = g.programme_id AND y.grouped = g.grouped AND y.strand_id IS NOT DISTINCT FROM g.strand_id
    LEFT JOIN answered r ON r.programme_id = g.programme_id AND r.grouped = g.grouped AND r.strand_id IS NOT DISTINCT FROM g.strand_id
$$;

-- What was earned in a year X is banded by the date of birth: where that is put right, the balance is banded anew. The
-- balance is locked first: a credit under way ends before its years are read, and one that comes later reads the new date.
CREATE FUNCTION app.band_anew() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_band jsonb; v_virtual integer := 750;
BEGIN
  PERFORM 1 FROM balances b WHERE b.enrolment_id = NEW.id FOR UPDATE;
  IF NOT FOUND OR NOT EXISTS (SELECT 1 FROM yearly_balances y WHERE y.enrolment_id = NEW.id AND y.nc_year = 'X') THEN
    RETURN NULL;
  END IF;
  SELECT x INTO v_band FROM dated_policies d, jsonb_array_elements(d.body->'bands') x
   WHERE d.topic = 'entitlement' AND x->>'band' = 'years_7_9' AND d.starts_on <= greatest(app.today(), DATE '2025-09-01')
   ORDER BY d.starts_on DESC LIMIT 1;
  IF FOUND THEN
    v_virtual := floor((v_band->>'minutes')::numeric * split_part(v_band->>'virtual_share', '/', 1)::numeric
      / coalesce(nullif(split_part(v_band->>'virtual_share', '/', 2), ''), '1')::numeric);
  END IF;
  UPDATE balances b
     SET activity_minutes = a.here + least(a.there, v_virtual), placement_minutes = a.placement, updated_at = now()
    FROM (SELECT coalesce(sum(y.minutes - y.virtual_minutes) FILTER (WHERE y.band_year IN ('7', '8', '9')), 0) AS here,
                 coalesce(sum(y.virtual_minutes) FILTER (WHERE y.band_year IN ('7', '8', '9')), 0) AS there,
                 coalesce(sum(y.minutes - y.virtual_minutes)
                   FILTER (WHERE y.band_year IN ('10', '11') AND y.kind = 'placement'), 0) AS placement
            FROM (SELECT b.*, app.settled_year(b.nc_year, NEW.date_of_birth, b.academic_year) AS band_year
                    FROM yearly_balances b WHERE b.enrolment_id = NEW.id) y) a
   WHERE b.enrolment_id = NEW.id;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION app.band_anew() FROM PUBLIC;
CREATE TRIGGER enrolments_banded AFTER UPDATE ON enrolments FOR EACH ROW
  WHEN (OLD.date_of_birth IS DISTINCT FROM NEW.date_of_birth) EXECUTE FUNCTION app.band_anew();

REVOKE ALL ON FUNCTION app.market_open(uuid[], integer[], timestamptz, integer, integer, text[], text[], bigint[], date[], date[], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.market_open(uuid[], integer[], timestamptz, integer, integer, text[], text[], bigint[], date[], date[], boolean) TO tendays_app;
REVOKE ALL ON FUNCTION app.strand_figures(uuid[], date, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.strand_figures(uuid[], date, timestamptz) TO tendays_app;
