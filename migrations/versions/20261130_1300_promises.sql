-- Whether a restricted offer is shown to one school, as app.offers_shown has it for all that the caller acts for: who acts
-- for several may not book for one of them what only another one is shown.
CREATE FUNCTION app.offer_shown_to(p_offer uuid, p_school uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT EXISTS (
    SELECT 1 FROM offer_audiences a
     WHERE a.offer_id = p_offer
       AND (a.audience_id = p_school OR a.audience_id = app.hub_of(p_school, app.today())
         OR EXISTS (SELECT 1 FROM programme_schools g
                     WHERE g.programme_id = a.audience_id AND g.school_id = p_school AND g.state <> 'left')))
$$;
REVOKE ALL ON FUNCTION app.offer_shown_to(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.offer_shown_to(uuid, uuid) TO tendays_app, tendays_worker;

-- Whether the school of a booking relies on who gave an approval. Both sides of the booking may ask: who confirms is told.
CREATE FUNCTION app.booking_relies_on(p_booking uuid, p_approver uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT EXISTS (
    SELECT 1 FROM bookings b
     WHERE b.id = p_booking
       AND (b.school_id = ANY (app.schools()) OR b.employer_id = app.org() OR app.kind() = 'system')
       AND (b.school_id = p_approver OR EXISTS (SELECT 1 FROM approval_acceptances x
                                                 WHERE x.school_id = b.school_id AND x.approver_id = p_approver)))
$$;
REVOKE ALL ON FUNCTION app.booking_relies_on(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.booking_relies_on(uuid, uuid) TO tendays_app, tendays_worker;

-- Employers that somebody has suspended: few. For which schools, app.is_suspended says.
CREATE FUNCTION app.employers_suspended() RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce(array_agg(DISTINCT employer_id), '{}') FROM suspensions WHERE lifted_at IS NULL
$$;
REVOKE ALL ON FUNCTION app.employers_suspended() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.employers_suspended() TO tendays_app, tendays_worker;
