-- Dates and moments that a request can fill lie within the bounds that the API takes, and an approval without a last day
-- lasts until it is withdrawn. Such a column once took 'infinity', which Postgres makes of 9999-12-31: one approval with it
-- and every booking at the site failed. NOT VALID: from now on nothing else comes in; the next migration mends what is there.
ALTER TABLE approvals ALTER COLUMN expires_on DROP NOT NULL;

ALTER TABLE agreements
  ADD CONSTRAINT ck_agreements_signed_on_bounded CHECK (signed_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID;
ALTER TABLE approvals
  ADD CONSTRAINT ck_approvals_approved_on_bounded CHECK (approved_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID,
  ADD CONSTRAINT ck_approvals_expires_on_bounded CHECK (expires_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID;
ALTER TABLE attendance_reports
  ADD CONSTRAINT ck_attendance_reports_arrived_at_bounded CHECK (arrived_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') NOT VALID,
  ADD CONSTRAINT ck_attendance_reports_left_at_bounded CHECK (left_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') NOT VALID;
ALTER TABLE characteristics
  ADD CONSTRAINT ck_characteristics_valid_from_bounded CHECK (valid_from BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID,
  ADD CONSTRAINT ck_characteristics_valid_to_bounded CHECK (valid_to BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID;
ALTER TABLE costs
  ADD CONSTRAINT ck_costs_on_date_bounded CHECK (on_date BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID;
ALTER TABLE covers
  ADD CONSTRAINT ck_covers_starts_on_bounded CHECK (starts_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID,
  ADD CONSTRAINT ck_covers_expires_on_bounded CHECK (expires_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID,
  ADD CONSTRAINT ck_covers_attested_on_bounded CHECK (attested_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID;
ALTER TABLE encounters
  ADD CONSTRAINT ck_encounters_starts_on_bounded CHECK (starts_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID,
  ADD CONSTRAINT ck_encounters_ends_on_bounded CHECK (ends_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID;
ALTER TABLE enrolments
  ADD CONSTRAINT ck_enrolments_starts_on_bounded CHECK (starts_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID,
  ADD CONSTRAINT ck_enrolments_ends_on_bounded CHECK (ends_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID,
  ADD CONSTRAINT ck_enrolments_date_of_birth_bounded CHECK (date_of_birth BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID;
ALTER TABLE grants
  ADD CONSTRAINT ck_grants_starts_on_bounded CHECK (starts_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID;
ALTER TABLE memberships
  ADD CONSTRAINT ck_memberships_starts_on_bounded CHECK (starts_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID,
  ADD CONSTRAINT ck_memberships_ends_on_bounded CHECK (ends_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID;
ALTER TABLE parental_agreements
  ADD CONSTRAINT ck_parental_agreements_answered_on_bounded CHECK (answered_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID;
ALTER TABLE participation_sittings
  ADD CONSTRAINT ck_participation_sittings_arrived_at_bounded CHECK (arrived_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') NOT VALID,
  ADD CONSTRAINT ck_participation_sittings_left_at_bounded CHECK (left_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') NOT VALID;
ALTER TABLE programme_schools
  ADD CONSTRAINT ck_programme_schools_joined_on_bounded CHECK (joined_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID,
  ADD CONSTRAINT ck_programme_schools_left_on_bounded CHECK (left_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID;
ALTER TABLE programmes
  ADD CONSTRAINT ck_programmes_starts_on_bounded CHECK (starts_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID,
  ADD CONSTRAINT ck_programmes_ends_on_bounded CHECK (ends_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID;
ALTER TABLE sittings
  ADD CONSTRAINT ck_sittings_starts_at_bounded CHECK (starts_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') NOT VALID,
  ADD CONSTRAINT ck_sittings_ends_at_bounded CHECK (ends_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') NOT VALID;
ALTER TABLE slots
  ADD CONSTRAINT ck_slots_starts_at_bounded CHECK (starts_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') NOT VALID,
  ADD CONSTRAINT ck_slots_ends_at_bounded CHECK (ends_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') NOT VALID,
  ADD CONSTRAINT ck_slots_book_by_bounded CHECK (book_by BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') NOT VALID,
  ADD CONSTRAINT ck_slots_name_by_bounded CHECK (name_by BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') NOT VALID;
ALTER TABLE targets
  ADD CONSTRAINT ck_targets_due_on_bounded CHECK (due_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31') NOT VALID;
ALTER TABLE webhook_replays
  ADD CONSTRAINT ck_webhook_replays_from_time_bounded CHECK (from_time BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') NOT VALID,
  ADD CONSTRAINT ck_webhook_replays_to_time_bounded CHECK (to_time BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') NOT VALID;

-- As 20261129_1020 has it; an approval without a last day does not lapse.
CREATE OR REPLACE FUNCTION app.market_open(
  p_schools uuid[], p_masks integer[], p_until timestamptz, p_lawful integer, p_cap integer, p_kinds text[],
  p_liabilities text[], p_pounds bigint[], p_begins date[], p_ends date[], p_by_employer boolean)
RETURNS TABLE (employer_id uuid, placement boolean, year_mask integer, schools integer[], slots integer, places bigint,
               minutes bigint, here_minutes bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
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
       AND p.state = 'approved' AND p.approved_on <= a.first_on
       AND (p.expires_on IS NULL OR p.expires_on >= a.last_on)
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
