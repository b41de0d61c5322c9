-- Money that is committed is gone from the budget, whatever its day: what is promised for next month counts today. `committed` is
-- therefore every commitment that stands, as `GET /v1/programmes/{id}/money` has had it, and `committed_to_date` those of days up
-- to `p_on`. Spend is of days up to `p_on`, as before.
DROP FUNCTION app.programme_budgets(uuid[], date, timestamptz);

CREATE FUNCTION app.programme_budgets(p_programmes uuid[], p_on date, p_known timestamptz)
RETURNS TABLE (programme_id uuid, school_id uuid, name text, urn text, whole boolean, enrolled boolean, own_budget text,
               budget_pence bigint, allocated bigint, committed bigint,
               committed_to_date bigint, spent bigint, spent_by_programme bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
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
           sum(k.amount_pence) FILTER (WHERE k.stage = 'commitment' AND k.on_date <= p_on)::bigint AS committed_to_date,
           sum(k.amount_pence) FILTER (WHERE k.stage = 'spend')::bigint AS spent,
           CASE WHEN bool_or(k.stage = 'spend') THEN
             coalesce(sum(k.amount_pence) FILTER (WHERE k.stage = 'spend' AND k.paid_by = 'programme'), 0) END::bigint AS own
      FROM counted c JOIN costs k ON k.programme_id = c.programme_id AND k.school_id = ANY (c.schools)
     WHERE (k.on_date <= p_on OR k.stage = 'commitment') AND CASE WHEN p_known IS NULL THEN k.removed_at IS NULL
       ELSE k.created_at <= p_known AND (k.removed_at IS NULL OR k.removed_at > p_known) END
     GROUP BY 1, 2
  ),
  every AS (
    SELECT e.programme_id, e.school_id FROM enrolled e
     UNION SELECT a.programme_id, a.school_id FROM allocated a
     UNION SELECT k.programme_id, k.school_id FROM cost k
  )
  SELECT v.programme_id, v.school_id, o.name, o.urn, c.whole, e.school_id IS NOT NULL, e.own_budget, NULL::bigint,
         a.pence, k.committed, k.committed_to_date, k.spent, k.own
    FROM every v JOIN counted c ON c.programme_id = v.programme_id JOIN organisations o ON o.id = v.school_id
    LEFT JOIN enrolled e ON e.programme_id = v.programme_id AND e.school_id = v.school_id
    LEFT JOIN allocated a ON a.programme_id = v.programme_id AND a.school_id = v.school_id
    LEFT JOIN cost k ON k.programme_id = v.programme_id AND k.school_id = v.school_id
   UNION ALL
  SELECT c.programme_id, NULL, NULL, NULL, c.whole, false, NULL,
         (SELECT (l.now->>'budget_pence')::bigint FROM latest l
           WHERE c.owned AND l.programme_id = c.programme_id AND l.part = 'programme'), NULL, NULL, NULL, NULL, NULL
    FROM counted c
   ORDER BY 3 NULLS FIRST, 2
$$;

REVOKE ALL ON FUNCTION app.programme_budgets(uuid[], date, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.programme_budgets(uuid[], date, timestamptz) TO tendays_app;
