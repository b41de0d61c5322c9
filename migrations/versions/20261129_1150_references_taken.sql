-- Which references of costs are taken by lines that the caller does not see: a school that takes part in a programme reads
-- its own lines only, and a reference is unique among all of them. Told are references that the caller has named itself.
CREATE FUNCTION app.cost_references_taken(p_programme uuid, p_references text[]) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT k.external_ref FROM costs k
   WHERE k.programme_id = p_programme AND k.external_ref = ANY (p_references) AND k.removed_at IS NULL
     AND k.owner_id <> app.org() AND NOT k.school_id = ANY (app.schools())
     AND EXISTS (SELECT 1 FROM programme_schools s WHERE s.programme_id = p_programme AND s.school_id = ANY (app.writes()))
$$;
REVOKE ALL ON FUNCTION app.cost_references_taken(uuid, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.cost_references_taken(uuid, text[]) TO tendays_app;
