-- The first client of an organisation is its registrar's to make; every further one is its own.

-- May the caller begin this organisation? It registered it, and nobody has ever had a client of it: a registrar
-- must not be able to come back later as somebody else.
CREATE FUNCTION app.may_begin(p_org uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT EXISTS (SELECT 1 FROM organisations o
                  WHERE o.id = p_org AND o.registered_by = app.org() AND o.status = 'active')
     AND NOT EXISTS (SELECT 1 FROM clients c WHERE c.org_id = p_org)
$$;

-- The one secret of a client that the caller has begun in this very transaction.
CREATE FUNCTION app.may_equip(p_client uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT EXISTS (SELECT 1 FROM clients c JOIN organisations o ON o.id = c.org_id
                  WHERE c.id = p_client AND c.created_by = app.caller() AND c.created_at = now() AND c.jwks IS NULL
                    AND c.revoked_at IS NULL AND o.registered_by = app.org() AND o.status = 'active')
     AND NOT EXISTS (SELECT 1 FROM client_secrets s WHERE s.client_id = p_client)
$$;

-- created_by is checked because app.may_equip stands on it.
ALTER POLICY clients_insert ON clients WITH CHECK (
  org_id = (SELECT app.org()) OR (created_by = (SELECT app.caller()) AND app.may_begin(org_id)));
ALTER POLICY client_secrets_insert ON client_secrets WITH CHECK (
  client_id IN (SELECT id FROM clients) OR app.may_equip(client_id));

REVOKE ALL ON FUNCTION app.may_begin(uuid), app.may_equip(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.may_begin(uuid), app.may_equip(uuid) TO tendays_app;
