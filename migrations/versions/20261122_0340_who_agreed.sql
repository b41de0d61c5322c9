-- Who agreed to what: parties looked up before they are related, a trust that needs the school's own word, the
-- controller's agreement and grants as a school's other parties may see them, and persons whose number changes.

-- What a registrar registered it can read again; the national body oversees all.
ALTER POLICY organisations_read ON organisations USING (
  id = (SELECT app.org()) OR id = ANY ((SELECT app.schools())::uuid[]) OR id = ANY ((SELECT app.related_orgs())::uuid[])
  OR registered_by = (SELECT app.org()) OR (SELECT app.kind()) = 'national'
  OR (kind = 'employer' AND (SELECT app.kind()) <> 'employer'));

-- An organisation by its id or URN, before it is related to the caller: what it is, and no more. `agreed` is true
-- when it may be taken into the caller's trust: a trust reads and decides over its academies' pupils, so the school
-- has to have said so first (a live grant of its own to that trust), or the trust registered it, or the national
-- body records the membership.
CREATE FUNCTION app.party(p_id uuid, p_urn text)
RETURNS TABLE (id uuid, no integer, kind text, agreed boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT o.id, o.no, o.kind,
         coalesce(app.kind() = 'national' OR o.registered_by = app.org()
           OR EXISTS (SELECT 1 FROM grants g WHERE g.grantor_id = o.id AND g.grantee_id = app.org()
                         AND g.revoked_at IS NULL AND g.starts_on <= app.today()), false)
    FROM organisations o
   WHERE (o.id = p_id OR o.urn = p_urn) AND o.status = 'active'
$$;

ALTER POLICY memberships_insert ON memberships WITH CHECK (
  (SELECT app.kind()) = 'national'
  OR (parent_id = (SELECT app.org()) AND kind = (SELECT app.kind())
      AND (kind <> 'trust' OR (SELECT p.agreed FROM app.party(member_id, NULL) p))));

-- The national body, which may record any membership, reads them all.
ALTER POLICY memberships_read ON memberships USING (
  member_id = (SELECT app.org()) OR parent_id = (SELECT app.org()) OR member_id = ANY ((SELECT app.schools())::uuid[])
  OR (SELECT app.kind()) = 'national');

-- The trusts over the schools the caller reaches: whose agreements and grants bind those schools.
CREATE FUNCTION app.controllers() RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce(array_agg(DISTINCT parent_id), '{}') FROM memberships
   WHERE member_id = ANY (app.schools()) AND kind = 'trust'
     AND starts_on <= app.today() AND (ends_on IS NULL OR ends_on > app.today())
$$;

ALTER POLICY agreements_read ON agreements USING (
  controller_id = (SELECT app.org()) OR controller_id = ANY ((SELECT app.schools())::uuid[])
  OR controller_id = ANY ((SELECT app.controllers())::uuid[]));
-- An academy sees what its trust granted; a vendor sees its own grants only, not its competitors'.
ALTER POLICY grants_read ON grants USING (
  grantor_id = (SELECT app.org()) OR grantee_id = (SELECT app.org())
  OR ((SELECT app.kind()) <> 'vendor' AND (grantor_id = ANY ((SELECT app.schools())::uuid[])
      OR (grantor_id = ANY ((SELECT app.controllers())::uuid[])
          AND (school_id IS NULL OR school_id = ANY ((SELECT app.schools())::uuid[]))))));
-- What a school granted before it joined, its trust, the controller since, can revoke.
ALTER POLICY grants_update ON grants
  USING (grantor_id = (SELECT app.org())
         OR ((SELECT app.kind()) = 'trust' AND grantor_id = ANY ((SELECT app.schools())::uuid[])))
  WITH CHECK (grantor_id = (SELECT app.org())
         OR ((SELECT app.kind()) = 'trust' AND grantor_id = ANY ((SELECT app.schools())::uuid[])));

-- Who saw what is the school's and its trust's to read, not the business of one vendor about another.
ALTER POLICY disclosures_read ON disclosures USING (
  school_id = ANY ((SELECT app.schools())::uuid[]) AND (SELECT app.kind()) <> 'vendor');

-- Does a live agreement of its controller cover this school on that day?
CREATE FUNCTION app.has_agreement(p_school uuid, p_on date) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT EXISTS (SELECT 1 FROM agreements a
                  WHERE a.controller_id = coalesce(app.trust_of(p_school, p_on), p_school)
                    AND a.ended_at IS NULL AND a.signed_on <= p_on AND NOT p_school = ANY (a.except_school_ids))
$$;

-- All that decides what the caller may do with one school's pupils. `own`: the school itself or its trust, to whom
-- no field group is closed. `grant_id` is the newest grant, for the disclosure list.
CREATE FUNCTION app.pupil_access(p_school uuid)
RETURNS TABLE (reached boolean, agreed boolean, own boolean, readable text[], writable text[], grant_id uuid, today date)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_org uuid := app.org(); v_today date := app.today(); v_trust uuid := app.trust_of(p_school, v_today);
BEGIN
  RETURN QUERY
  SELECT p_school = ANY (app.schools()), app.has_agreement(p_school, v_today), coalesce(v_org IN (p_school, v_trust), false),
         coalesce(array_agg(DISTINCT f) FILTER (WHERE f IS NOT NULL), '{}'),
         coalesce(array_agg(DISTINCT f) FILTER (WHERE f IS NOT NULL AND g.write), '{}'),
         (array_agg(g.id ORDER BY g.id DESC))[1], v_today
    FROM grants g LEFT JOIN LATERAL unnest(g.field_groups) f ON true
   WHERE g.grantee_id = v_org AND g.revoked_at IS NULL AND g.starts_on <= v_today
     AND (g.grantor_id = p_school OR g.grantor_id = v_trust)
     AND (g.school_id IS NULL OR g.school_id = p_school) AND NOT p_school = ANY (g.except_school_ids);
END $$;

-- As before, but one who has left by date is not elsewhere any more.
CREATE OR REPLACE FUNCTION app.person_for(p_id uuid, p_upn_hash bytea, p_protected boolean, p_school uuid)
RETURNS TABLE (person_id uuid, person_no integer, elsewhere boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_id uuid; v_no integer; v_protected boolean;
BEGIN
  IF NOT p_school = ANY (app.writes()) THEN
    RAISE EXCEPTION 'school' USING ERRCODE = 'TD404';
  END IF;
  IF p_upn_hash IS NOT NULL AND NOT p_protected THEN
    INSERT INTO persons (id, upn_hash) VALUES (p_id, p_upn_hash) ON CONFLICT (upn_hash) DO NOTHING
    RETURNING id, no INTO v_id, v_no;
    IF v_id IS NOT NULL THEN RETURN QUERY SELECT v_id, v_no, false; RETURN; END IF;
    SELECT p.id, p.no, p.identity_protected INTO v_id, v_no, v_protected FROM persons p WHERE p.upn_hash = p_upn_hash;
    IF NOT v_protected THEN
      RETURN QUERY SELECT v_id, v_no, app.is_elsewhere(v_id, p_school);
      RETURN;
    END IF;
  END IF;
  INSERT INTO persons (id, identity_protected) VALUES (p_id, p_protected) RETURNING id, no INTO v_id, v_no;
  RETURN QUERY SELECT v_id, v_no, false;
END $$;

-- Has a person a main enrolment that runs at another school? For the two functions around it only.
CREATE FUNCTION app.is_elsewhere(p_person uuid, p_school uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT EXISTS (SELECT 1 FROM enrolments e WHERE e.person_id = p_person AND e.school_id <> p_school
                    AND e.kind = 'main' AND e.state = 'active' AND (e.ends_on IS NULL OR e.ends_on >= app.today()))
$$;

-- A pupil's number came later, changed, or its identity is to be protected: the person follows. The new number is
-- taken only if it is nobody else's; a protected identity loses its key for good. Answers whether the person is
-- active elsewhere.
CREATE FUNCTION app.settle_person(p_person uuid, p_school uuid, p_upn_hash bytea, p_was bytea, p_protected boolean)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  IF NOT p_school = ANY (app.writes())
     OR NOT EXISTS (SELECT 1 FROM enrolments e WHERE e.person_id = p_person AND e.school_id = p_school) THEN
    RAISE EXCEPTION 'pupil' USING ERRCODE = 'TD404';
  END IF;
  IF p_protected THEN
    UPDATE persons SET identity_protected = true, upn_hash = NULL WHERE id = p_person;
    RETURN false;
  END IF;
  BEGIN
    UPDATE persons p SET upn_hash = p_upn_hash
     WHERE p.id = p_person AND NOT p.identity_protected AND p_upn_hash IS NOT NULL
       AND (p.upn_hash IS NULL OR p.upn_hash = p_was)
       AND NOT EXISTS (SELECT 1 FROM persons q WHERE q.upn_hash = p_upn_hash);
  EXCEPTION WHEN unique_violation THEN NULL;
  END;
  RETURN app.is_elsewhere(p_person, p_school);
END $$;

-- What a school's figures stand on: when its roll was last sent, whether the sender says it was whole, and which
-- characteristics have ever come. Runs as the caller, under the policies of the table.
CREATE FUNCTION app.roll_kept(p_school uuid, p_complete boolean, p_groups text[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public AS $$
  INSERT INTO school_states AS s (school_id, last_sync_at, roll_complete_at, field_groups)
  VALUES (p_school, now(), CASE WHEN p_complete THEN now() END, p_groups)
  ON CONFLICT (school_id) DO UPDATE
     SET last_sync_at = excluded.last_sync_at, updated_at = now(),
         roll_complete_at = coalesce(excluded.roll_complete_at, s.roll_complete_at),
         field_groups = ARRAY(SELECT DISTINCT f FROM unnest(s.field_groups || excluded.field_groups) f ORDER BY 1)
$$;

REVOKE ALL ON FUNCTION app.roll_kept(uuid, boolean, text[]), app.party(uuid, text), app.controllers(), app.has_agreement(uuid, date), app.pupil_access(uuid),
  app.is_elsewhere(uuid, uuid), app.settle_person(uuid, uuid, bytea, bytea, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.roll_kept(uuid, boolean, text[]), app.party(uuid, text), app.controllers(), app.has_agreement(uuid, date), app.pupil_access(uuid),
  app.settle_person(uuid, uuid, bytea, bytea, boolean) TO tendays_app, tendays_worker;
