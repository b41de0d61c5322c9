-- The bookings ahead on an offer, or on the offers at a site, of the caller's: how many of which state, and of which schools.
CREATE FUNCTION app.bookings_ahead(p_offer uuid, p_site uuid) RETURNS TABLE (state text, bookings integer, schools uuid[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT b.state, count(*)::integer, array_agg(DISTINCT b.school_id)
    FROM offers o JOIN slots s ON s.offer_id = o.id JOIN bookings b ON b.slot_id = s.id
   WHERE o.employer_id = app.org() AND (o.id = p_offer OR o.site_id = p_site) AND b.ends_at > app.domain_now()
     AND b.state IN ('waiting', 'requested', 'countered', 'confirmed', 'on_hold')
   GROUP BY b.state
$$;

-- Whether an offer of the caller's at another site names the contact.
CREATE FUNCTION app.contact_elsewhere(p_contact uuid, p_site uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT EXISTS (SELECT 1 FROM offers o WHERE o.employer_id = app.org() AND o.contact_id = p_contact
                    AND o.site_id <> p_site AND o.state <> 'withdrawn')
$$;

-- Those of an audience that are nobody: no active organisation of this kind, no programme.
CREATE FUNCTION app.audience_unknown(p_kind text, p_ids uuid[]) RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce(array_agg(a.id), '{}') FROM unnest(p_ids) a (id)
   WHERE NOT CASE p_kind
         WHEN 'programme' THEN EXISTS (SELECT 1 FROM programmes p WHERE p.id = a.id)
         ELSE EXISTS (SELECT 1 FROM organisations o WHERE o.id = a.id AND o.kind = p_kind AND o.status = 'active') END
$$;

-- Sectors beside those of the Industrial Strategy, in force today: a hub's own priorities, kept as dated data.
ALTER TABLE dated_policies DROP CONSTRAINT ck_dated_policies_topic_known;
ALTER TABLE dated_policies ADD CONSTRAINT ck_dated_policies_topic_known
  CHECK (topic IN ('entitlement', 'age_prohibition', 'cover', 'day', 'sector'));
CREATE FUNCTION app.sectors_added() RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce(array_agg(DISTINCT d.name), '{}') FROM dated_policies d
   WHERE d.topic = 'sector' AND d.starts_on <= app.today() AND (d.ends_on IS NULL OR app.today() < d.ends_on)
$$;

REVOKE ALL ON FUNCTION app.bookings_ahead(uuid, uuid), app.contact_elsewhere(uuid, uuid), app.audience_unknown(text, uuid[]),
  app.sectors_added() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.bookings_ahead(uuid, uuid), app.contact_elsewhere(uuid, uuid),
  app.audience_unknown(text, uuid[]), app.sectors_added() TO tendays_app, tendays_worker;

-- What schools wrote or will write under another word stays as it was recorded; those in use go on being known.
INSERT INTO dated_policies (id, topic, name, starts_on, body, source)
SELECT gen_random_uuid(), 'sector', x.word, DATE '2026-01-01', '{}', 'in use before sectors were a list'
  FROM (SELECT sector AS word FROM offers WHERE sector IS NOT NULL
         UNION SELECT unnest(sectors) FROM employers) x
 WHERE x.word NOT IN ('advanced_manufacturing', 'clean_energy_industries', 'creative_industries', 'defence',
       'digital_and_technologies', 'financial_services', 'life_sciences', 'professional_and_business_services');
