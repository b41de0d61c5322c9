-- What pupils are short of and what is open to them; the employers around them; the variety each pupil has had.
--
-- Each function asks first which schools the caller may count (app.schools_counted) and answers sums and counts of those
-- alone, never a row of a pupil. Rounding and suppression for hubs are done by the caller's house (dashboards/market).

-- Which credits have been taken back: few among many.
CREATE INDEX ix_ledger_entries_reverses_id ON ledger_entries (reverses_id) WHERE reverses_id IS NOT NULL;

-- What an employer said of itself, and an offer of its sector, with when it was known: a figure of a past moment is asked
-- for again after an employer has grown. Whoever is first known is taken to have been so before: nothing else is known.
CREATE TABLE employers_known (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    employer_id UUID NOT NULL,
    size_band TEXT NOT NULL,
    sectors TEXT[] NOT NULL,
    known_from TIMESTAMP WITH TIME ZONE NOT NULL,
    known_to TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_employers_known PRIMARY KEY (id)
);
CREATE INDEX ix_employers_known_employer_id ON employers_known (employer_id);
CREATE TABLE offers_known (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    offer_id UUID NOT NULL,
    employer_id UUID NOT NULL,
    sector TEXT,
    known_from TIMESTAMP WITH TIME ZONE NOT NULL,
    known_to TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_offers_known PRIMARY KEY (id)
);
CREATE INDEX ix_offers_known_offer_id ON offers_known (offer_id);
ALTER TABLE employers_known ENABLE ROW LEVEL SECURITY;
ALTER TABLE employers_known FORCE ROW LEVEL SECURITY;
CREATE POLICY employers_known_owner ON employers_known TO tendays_owner USING (true) WITH CHECK (true);
ALTER TABLE offers_known ENABLE ROW LEVEL SECURITY;
ALTER TABLE offers_known FORCE ROW LEVEL SECURITY;
CREATE POLICY offers_known_owner ON offers_known TO tendays_owner USING (true) WITH CHECK (true);

INSERT INTO employers_known (employer_id, size_band, sectors, known_from)
SELECT id, size_band, sectors, '-infinity' FROM employers;
INSERT INTO offers_known (offer_id, employer_id, sector, known_from)
SELECT id, employer_id, sector, '-infinity' FROM offers;

CREATE FUNCTION app.keep_employer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    UPDATE employers_known SET known_to = greatest(now(), known_from) WHERE employer_id = NEW.id AND known_to IS NULL;
  END IF;
  INSERT INTO employers_known (employer_id, size_band, sectors, known_from)
  VALUES (NEW.id, NEW.size_band, NEW.sectors, CASE TG_OP WHEN 'INSERT' THEN '-infinity' ELSE now() END);
  RETURN NULL;
END $$;
CREATE FUNCTION app.keep_offer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    UPDATE offers_known SET known_to = greatest(now(), known_from) WHERE offer_id = NEW.id AND known_to IS NULL;
  END IF;
  INSERT INTO offers_known (offer_id, employer_id, sector, known_from)
  VALUES (NEW.id, NEW.employer_id, NEW.sector, CASE TG_OP WHEN 'INSERT' THEN '-infinity' ELSE now() END);
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION app.keep_employer(), app.keep_offer() FROM PUBLIC;
CREATE TRIGGER employers_kept_new AFTER INSERT ON employers FOR EACH ROW EXECUTE FUNCTION app.keep_employer();
CREATE TRIGGER employers_kept AFTER UPDATE ON employers FOR EACH ROW
  WHEN ((OLD.size_band, OLD.sectors) IS DISTINCT FROM (NEW.size_band, NEW.sectors)) EXECUTE FUNCTION app.keep_employer();
CREATE TRIGGER offers_kept_new AFTER INSERT ON offers FOR EACH ROW EXECUTE FUNCTION app.keep_offer();
CREATE TRIGGER offers_kept AFTER UPDATE ON offers FOR EACH ROW
  WHEN (OLD.sector IS DISTINCT FROM NEW.sector) EXECUTE FUNCTION app.keep_offer();

-- As known at a moment; NULL: now.
CREATE FUNCTION app.employers_as_known(p_known timestamptz) RETURNS TABLE (id uuid, size_band text, sectors text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT e.id, e.size_band, e.sectors FROM employers e WHERE p_known IS NULL
   UNION ALL
  SELECT k.employer_id, k.size_band, k.sectors FROM employers_known k
   WHERE k.known_from <= p_known AND (k.known_to IS NULL OR k.known_to > p_known)
$$;
CREATE FUNCTION app.offers_as_known(p_known timestamptz) RETURNS TABLE (id uuid, employer_id uuid, sector text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT o.id, o.employer_id, o.sector FROM offers o WHERE p_known IS NULL
   UNION ALL
  SELECT k.offer_id, k.employer_id, k.sector FROM offers_known k
   WHERE k.known_from <= p_known AND (k.known_to IS NULL OR k.known_to > p_known)
$$;
REVOKE ALL ON FUNCTION app.employers_as_known(timestamptz), app.offers_as_known(timestamptz) FROM PUBLIC;

-- Of p_schools (NULL: all) those that the caller may count on a day, by the memberships as known at a moment.
CREATE FUNCTION app.market_schools(p_schools uuid[], p_on date, p_known timestamptz) RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce(array_agg(c.school_id), '{}') FROM app.schools_counted(p_on, p_known) c
   WHERE p_schools IS NULL OR c.school_id = ANY (p_schools)
$$;

-- By school and NC year: pupils, how many are below the mark of their band (p_activity minutes in Years 7-9, p_placement
-- in Years 10-11, none in others), and what they lack: minutes, and half and whole days begun, pupil by pupil.
CREATE FUNCTION app.market_shortfall(
  p_schools uuid[], p_on date, p_year integer, p_known timestamptz, p_activity integer, p_placement integer)
RETURNS TABLE (school_id uuid, nc_year text, settled_year text, pupils integer, below integer, minutes bigint,
               half_days bigint, whole_days bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_schools uuid[] := app.market_schools(p_schools, p_on, p_known);
BEGIN
  RETURN QUERY
    SELECT m.school_id, m.nc_year, m.settled_year, count(*)::integer, (count(*) FILTER (WHERE m.missing > 0))::integer,
           sum(m.missing)::bigint, sum((m.missing + 149) / 150)::bigint, sum((m.missing + 299) / 300)::bigint
      FROM (SELECT p.school_id, p.nc_year, p.settled_year,
                   CASE WHEN p.settled_year IN ('7', '8', '9') THEN greatest(0, p_activity - p.activity)
                        WHEN p.settled_year IN ('10', '11') THEN greatest(0, p_placement - p.placement)
                        ELSE 0 END AS missing
              FROM app.counted_pupils(v_schools, p_on, p_year, false, p_known, p_activity) p) m
     GROUP BY m.school_id, m.nc_year, m.settled_year;
END $$;

-- Open slots ahead that some of these schools could ask for now: in time, with places left, shown to the school, of an
-- employer not suspended for it, covered, on a site approved for the kind and band by someone the school relies on.
-- p_masks has the year groups of each school as bits; a slot counts for those that it admits and that the kind is
-- lawful for (p_lawful: those of a placement). Slots of the same kind are one row: the schools they are open to (as
-- positions in p_schools), the year groups, and sums. A place has the minutes that count: p_cap on a day, in person first.
-- Cover rules in force come as p_kinds, p_liabilities and p_pounds. By employer only if p_by_employer.
CREATE FUNCTION app.market_open(
  p_schools uuid[], p_masks integer[], p_until timestamptz, p_lawful integer, p_cap integer, p_kinds text[],
  p_liabilities text[], p_pounds bigint[], p_by_employer boolean)
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
  covered AS (
    SELECT a.slot_id FROM ahead a
      LEFT JOIN unnest(p_kinds, p_liabilities, p_pounds) r (kind, liability, pounds) ON r.kind = a.kind AND a.on_site
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

-- What each employer has had to do with each school: whether pupils were there, and the bookings asked for in a period
-- (p_from NULL: always) as they stood at the end of p_on. `answered` are the minutes to the first answer, one per booking.
CREATE FUNCTION app.market_dealings(p_schools uuid[], p_from date, p_on date, p_known timestamptz)
RETURNS TABLE (employer_id uuid, school_id uuid, reached boolean, requested integer, confirmed integer, declined integer,
               expired integer, places integer, reasons text[], answered integer[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public SET work_mem = '32MB' AS $$
DECLARE v_schools uuid[] := app.market_schools(p_schools, p_on, p_known);
        v_from timestamptz := coalesce(p_from, '-infinity'::date)::timestamp AT TIME ZONE 'Europe/London';
        v_until timestamptz := (p_on + 1)::timestamp AT TIME ZONE 'Europe/London';
BEGIN
  RETURN QUERY
  WITH met AS (
    SELECT l.employer_id, l.school_id FROM ledger_entries l
     WHERE l.school_id = ANY (v_schools) AND l.employer_id IS NOT NULL AND l.entry <> 'transferred_in'
       AND l.on_date <= p_on AND (p_from IS NULL OR l.on_date >= p_from) AND (p_known IS NULL OR l.known_at <= p_known)
     GROUP BY l.employer_id, l.school_id HAVING sum(l.in_person_minutes + l.virtual_minutes) > 0
  ),
  moved AS (
    SELECT m.booking_id, m.employer_id, m.school_id, min(m.at) FILTER (WHERE m.to_state = 'requested') AS asked_at,
           min(m.at) FILTER (WHERE m.actor = 'employer' AND m.action IN ('confirm', 'decline', 'counter')) AS answered_at,
           bool_or(m.to_state = 'confirmed') AS confirmed,
           bool_or(m.action = 'expire' AND m.reason_code = 'no_answer_from_employer') AS expired,
           (array_agg(m.reason_code ORDER BY m.no DESC) FILTER (WHERE m.action = 'decline' AND m.actor = 'employer'))[1] AS reason,
           bool_or(m.action = 'decline' AND m.actor = 'employer') AS declined,
           (array_agg(m.to_state ORDER BY m.no DESC))[1] AS state, (array_agg(m.places ORDER BY m.no DESC))[1] AS places
      FROM booking_moves m
     WHERE m.school_id = ANY (v_schools) AND m.at < v_until AND (p_known IS NULL OR m.recorded_at <= p_known)
     GROUP BY m.booking_id, m.employer_id, m.school_id
  ),
  booked AS (
    SELECT b.employer_id, b.school_id, count(*) AS requested, count(*) FILTER (WHERE b.confirmed) AS confirmed,
           count(*) FILTER (WHERE b.declined) AS declined, count(*) FILTER (WHERE b.expired) AS expired,
           sum(b.places) FILTER (WHERE b.state IN ('confirmed', 'on_hold', 'completed')) AS places,
           array_agg(b.reason) FILTER (WHERE b.reason IS NOT NULL) AS reasons,
           array_agg((extract(epoch FROM b.answered_at - b.asked_at) / 60)::integer)
             FILTER (WHERE b.answered_at >= b.asked_at) AS answered
      FROM moved b WHERE b.asked_at >= v_from GROUP BY b.employer_id, b.school_id
  )
  SELECT coalesce(b.employer_id, m.employer_id), coalesce(b.school_id, m.school_id), m.school_id IS NOT NULL,
         coalesce(b.requested, 0)::integer, coalesce(b.confirmed, 0)::integer, coalesce(b.declined, 0)::integer,
         coalesce(b.expired, 0)::integer, coalesce(b.places, 0)::integer, coalesce(b.reasons, '{}'),
         coalesce(b.answered, '{}')
    FROM booked b FULL JOIN met m ON m.employer_id = b.employer_id AND m.school_id = b.school_id;
END $$;

-- Who these employers are, and what they offered in a past period to which of these schools (positions in p_schools; NULL:
-- to all): slots begun, their places, and how many of these were taken, by whichever school. A slot that was closed
-- offered what had been taken by then. Nothing to a caller who counts no school.
CREATE FUNCTION app.market_employers(
  p_employers uuid[], p_schools uuid[], p_from date, p_on date, p_known timestamptz)
RETURNS TABLE (employer_id uuid, name text, size_band text, sectors text[], schools integer[], slots integer,
               places integer, filled integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_from timestamptz := coalesce(p_from, '-infinity'::date)::timestamp AT TIME ZONE 'Europe/London';
        v_until timestamptz := least(app.domain_now(), (p_on + 1)::timestamp AT TIME ZONE 'Europe/London');
BEGIN
  RETURN QUERY
  WITH counted AS MATERIALIZED (SELECT c.school_id, c.hub_id FROM app.schools_counted(p_on, p_known) c),
  asked AS MATERIALIZED (
    SELECT a.no::integer AS no,
           ARRAY[a.school_id, c.hub_id] || ARRAY(SELECT g.programme_id FROM programme_schools g
                                                  WHERE g.school_id = a.school_id AND g.state <> 'left') AS audiences
      FROM unnest(p_schools) WITH ORDINALITY a (school_id, no) JOIN counted c ON c.school_id = a.school_id
  ),
  begun AS (
    SELECT s.employer_id, CASE WHEN o.restricted THEN s.offer_id END AS offer_id, count(*) AS slots,
           sum(CASE s.state WHEN 'closed' THEN s.taken ELSE s.capacity END) AS places, sum(s.taken) AS filled
      FROM slots s JOIN offers o ON o.id = s.offer_id
     WHERE s.employer_id = ANY (p_employers) AND s.state <> 'cancelled' AND o.state <> 'draft'
       AND s.starts_at >= v_from AND s.starts_at < v_until
     GROUP BY 1, 2
  ),
  shown AS (
    SELECT b.*, CASE WHEN b.offer_id IS NOT NULL THEN ARRAY(
             SELECT s.no FROM asked s WHERE EXISTS (SELECT 1 FROM offer_audiences x
               WHERE x.offer_id = b.offer_id AND x.audience_id = ANY (s.audiences)) ORDER BY s.no) END AS schools
      FROM begun b
  )
  SELECT e.id, o.name, e.size_band, e.sectors, h.schools, coalesce(sum(h.slots), 0)::integer,
         coalesce(sum(h.places), 0)::integer, coalesce(sum(h.filled), 0)::integer
    FROM app.employers_as_known(p_known) e JOIN organisations o ON o.id = e.id
    LEFT JOIN shown h ON h.employer_id = e.id AND (h.schools IS NULL OR cardinality(h.schools) > 0)
   WHERE e.id = ANY (p_employers) AND EXISTS (SELECT 1 FROM counted)
   GROUP BY e.id, o.name, e.size_band, e.sectors, h.schools;
END $$;

-- By school and NC year: how many different employers, sectors and kinds of experience pupils have had. `*_spread` are the
-- pupils with none, one, two, and three or more. Credits that were taken back are left out; minutes are as attended.
-- The sector is that of the offer if the experience was booked, else those of its employer. An experience without an
-- employer of ours has a kind and neither an employer nor a sector.
--
-- Reads every entry of the schools once, in the order it lies, and adds it up by pupil before anything is joined. What the
-- planner expects of functions is far too little: it would look up a million rows one by one, or sort them all.
CREATE FUNCTION app.market_variety(
  p_schools uuid[], p_on date, p_year integer, p_year_only boolean, p_known timestamptz, p_kinds text[])
RETURNS TABLE (school_id uuid, nc_year text, settled_year text, pupils integer, employers bigint, employers_spread integer[],
               sectors bigint, sectors_spread integer[], kinds bigint, kinds_spread integer[], minutes bigint,
               in_person bigint, known_minutes bigint, sme_minutes bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public SET work_mem = '64MB'
SET enable_nestloop = off SET enable_mergejoin = off SET enable_sort = off AS $$
DECLARE v_schools uuid[] := app.market_schools(p_schools, p_on, p_known); v_words text[];
BEGIN
  IF cardinality(v_schools) = 0 THEN RETURN; END IF;
  v_words := ARRAY(SELECT unnest(e.sectors) FROM app.employers_as_known(p_known) e
                   UNION SELECT o.sector FROM app.offers_as_known(p_known) o WHERE o.sector IS NOT NULL);
  RETURN QUERY
  WITH roll AS MATERIALIZED (
    SELECT r.enrolment_id, r.person_id, r.school_id, r.nc_year, r.settled_year
      FROM app.roll_known(v_schools, p_on, p_year, p_known) r
  ),
  second AS MATERIALIZED (
    SELECT r.enrolment_id AS main_id, s.enrolment_id
      FROM app.second_registrations(ARRAY(SELECT r.person_id FROM roll r), p_known) s JOIN roll r ON r.person_id = s.person_id
  ),
  -- Every sector is a bit.
  bits AS MATERIALIZED (
    SELECT w.word, set_bit(repeat('0', cardinality(v_words))::varbit, w.no::integer - 1, 1) AS bit
      FROM unnest(v_words) WITH ORDINALITY w (word, no)
  ),
  firms AS MATERIALIZED (
    SELECT e.id, row_number() OVER ()::integer AS no, e.size_band <> 'large' AS sme,
           (SELECT bit_or(b.bit) FROM bits b WHERE b.word = ANY (e.sectors)) AS bit, x.id IS NOT NULL AS many
      FROM app.employers_as_known(p_known) e
      LEFT JOIN (SELECT o.employer_id AS id, array_agg(DISTINCT o.sector) AS sectors FROM app.offers_as_known(p_known) o
                  WHERE o.sector IS NOT NULL GROUP BY o.employer_id) x ON x.id = e.id AND x.sectors <> e.sectors
  ),
  -- Only where an employer's offers lie in other sectors than its own does it matter which offer was booked.
  sold AS MATERIALIZED (
    SELECT k.id, b.bit FROM bookings k JOIN firms f ON f.id = k.employer_id AND f.many
      JOIN app.offers_as_known(p_known) o ON o.id = k.offer_id JOIN bits b ON b.word = o.sector
     WHERE k.school_id = ANY (v_schools || ARRAY(SELECT e.school_id FROM second s JOIN enrolments e ON e.id = s.enrolment_id))
  ),
  told AS MATERIALIZED (
    SELECT x.id, k.bit FROM sold k JOIN encounters x ON x.booking_id = k.id
     WHERE x.school_id = ANY (v_schools) OR x.enrolment_id = ANY (ARRAY(SELECT s.enrolment_id FROM second s))
  ),
  taken_back AS MATERIALIZED (
    SELECT r.reverses_id FROM ledger_entries r
     WHERE r.reverses_id IS NOT NULL AND (p_known IS NULL OR r.known_at <= p_known)
       AND (r.school_id = ANY (v_schools) OR r.enrolment_id = ANY (ARRAY(SELECT s.enrolment_id FROM second s)))
  ),
  entries AS (
    SELECT l.enrolment_id AS main_id, l.id, l.encounter_id, l.employer_id, l.kind, l.in_person_minutes AS here,
           l.in_person_minutes + l.virtual_minutes AS minutes
      FROM ledger_entries l
     WHERE l.school_id = ANY (v_schools)
       AND l.entry <> 'reversal' AND l.on_date <= p_on AND (NOT p_year_only OR l.academic_year = p_year)
       AND (p_known IS NULL OR l.known_at <= p_known)
    UNION ALL
    SELECT s.main_id, l.id, l.encounter_id, l.employer_id, l.kind, l.in_person_minutes,
           l.in_person_minutes + l.virtual_minutes
      FROM second s JOIN ledger_entries l ON l.enrolment_id = s.enrolment_id
     WHERE l.enrolment_id = ANY (ARRAY(SELECT s.enrolment_id FROM second s))
       AND l.entry <> 'reversal' AND l.on_date <= p_on AND (NOT p_year_only OR l.academic_year = p_year)
       AND (p_known IS NULL OR l.known_at <= p_known)
  ),
  met AS (
    SELECT l.main_id, array_agg(f.no) AS firms, bit_or(1 << array_position(p_kinds, l.kind)) AS kinds,
           bit_or(coalesce(t.bit, f.bit)) AS sectors, sum(l.here) AS here, sum(l.minutes) AS minutes,
           sum(l.minutes) FILTER (WHERE f.no IS NOT NULL) AS known, sum(l.minutes) FILTER (WHERE f.sme) AS small
      FROM entries l
      LEFT JOIN firms f ON f.id = l.employer_id
      LEFT JOIN told t ON t.id = l.encounter_id
     WHERE l.minutes > 0 AND NOT EXISTS (SELECT 1 FROM taken_back b WHERE b.reverses_id = l.id)
     GROUP BY l.main_id
  ),
  each_one AS MATERIALIZED (
    SELECT r.school_id, r.nc_year, r.settled_year,
           coalesce((SELECT count(DISTINCT u) FROM unnest(m.firms) u), 0) AS e, coalesce(bit_count(m.sectors), 0) AS s,
           coalesce(bit_count(m.kinds::bit(32)), 0) AS k, m.minutes, m.here, m.known, m.small
      FROM roll r LEFT JOIN met m ON m.main_id = r.enrolment_id
  )
  SELECT o.school_id, o.nc_year, o.settled_year, count(*)::integer,
         sum(o.e)::bigint, ARRAY[count(*) FILTER (WHERE o.e = 0), count(*) FILTER (WHERE o.e = 1),
                                 count(*) FILTER (WHERE o.e = 2), count(*) FILTER (WHERE o.e > 2)]::integer[],
         sum(o.s)::bigint, ARRAY[count(*) FILTER (WHERE o.s = 0), count(*) FILTER (WHERE o.s = 1),
                                 count(*) FILTER (WHERE o.s = 2), count(*) FILTER (WHERE o.s > 2)]::integer[],
         sum(o.k)::bigint, ARRAY[count(*) FILTER (WHERE o.k = 0), count(*) FILTER (WHERE o.k = 1),
                                 count(*) FILTER (WHERE o.k = 2), count(*) FILTER (WHERE o.k > 2)]::integer[],
         coalesce(sum(o.minutes), 0)::bigint, coalesce(sum(o.here), 0)::bigint, coalesce(sum(o.known), 0)::bigint,
         coalesce(sum(o.small), 0)::bigint
    FROM each_one o GROUP BY o.school_id, o.nc_year, o.settled_year;
END $$;

REVOKE ALL ON FUNCTION app.market_schools(uuid[], date, timestamptz),
  app.market_shortfall(uuid[], date, integer, timestamptz, integer, integer),
  app.market_open(uuid[], integer[], timestamptz, integer, integer, text[], text[], bigint[], boolean),
  app.market_dealings(uuid[], date, date, timestamptz), app.market_employers(uuid[], uuid[], date, date, timestamptz),
  app.market_variety(uuid[], date, integer, boolean, timestamptz, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.market_shortfall(uuid[], date, integer, timestamptz, integer, integer),
  app.market_open(uuid[], integer[], timestamptz, integer, integer, text[], text[], bigint[], boolean),
  app.market_dealings(uuid[], date, date, timestamptz), app.market_employers(uuid[], uuid[], date, date, timestamptz),
  app.market_variety(uuid[], date, integer, boolean, timestamptz, text[]) TO tendays_app;
