-- A school of another hub that is invited to a programme, or takes part, is an organisation that the programme's owner knows
-- (its name and URN, and no more), and so do those over the owner, who find its programmes; the school knows the owner.
CREATE OR REPLACE FUNCTION app.related_orgs() RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce(array_agg(DISTINCT x), '{}') FROM (
    SELECT parent_id AS x FROM memberships WHERE member_id = ANY (app.schools() || app.org())
    UNION ALL SELECT member_id FROM memberships
     WHERE parent_id = app.org() AND starts_on <= app.today() AND (ends_on IS NULL OR ends_on > app.today())
    UNION ALL SELECT m2.member_id FROM memberships m1 JOIN memberships m2 ON m2.parent_id = m1.member_id
     WHERE m1.parent_id = app.org() AND m1.kind IN ('authority', 'national')
    UNION ALL SELECT grantor_id FROM grants WHERE grantee_id = app.org() AND revoked_at IS NULL
    UNION ALL SELECT grantee_id FROM grants WHERE grantor_id = ANY (app.schools() || app.org())
    UNION ALL SELECT school_id FROM bookings WHERE app.kind() = 'employer' AND employer_id = app.org()
    UNION ALL SELECT s.school_id FROM programmes p JOIN programme_schools s ON s.programme_id = p.id
     WHERE p.owner_id = ANY ((SELECT app.owners_below() || app.org())::uuid[])
    UNION ALL SELECT s.owner_id FROM programme_schools s WHERE s.school_id = ANY ((SELECT app.schools())::uuid[])
  ) y
$$;
