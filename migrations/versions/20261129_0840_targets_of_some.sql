-- Targets about young people with a characteristic: counted are those who have it, and not everybody who was reached.
-- `share_part` of `share_base` is told of young people too. Otherwise the function is as it was written.
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
