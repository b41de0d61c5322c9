-- The door to the domain clock. Closed by the database itself: nobody but the owner may execute it. In development
-- `tendays run` has the owner grant it to tendays_app at each start, and outside development take it back.

CREATE FUNCTION app.move_clock(p_seconds bigint) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM app.caller();
  UPDATE clock SET offset_seconds = p_seconds;
  RETURN app.domain_now();
END $$;

REVOKE ALL ON FUNCTION app.move_clock(bigint) FROM PUBLIC;
