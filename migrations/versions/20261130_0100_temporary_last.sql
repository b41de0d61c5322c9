-- Postgres searches the temporary tables of a session before every schema that `search_path` names, unless `pg_temp` stands
-- in it. A function that runs with its owner's rights then reads a table that its caller has made: a temporary table
-- `clients` made an employer whoever it liked. `pg_temp` last: our own tables are found first, always.
DO $$
DECLARE
  v_function record;
BEGIN
  FOR v_function IN
    SELECT p.oid::regprocedure AS signature, substring(setting FROM '^search_path=(.*)$') AS path
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     CROSS JOIN LATERAL unnest(p.proconfig) AS setting
     WHERE n.nspname IN ('app', 'public') AND setting LIKE 'search_path=%' AND setting !~ 'pg_temp'
  LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %s, pg_temp', v_function.signature, v_function.path);
  END LOOP;
END
$$;
