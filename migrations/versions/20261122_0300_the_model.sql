-- The whole model: tables as app/*/tables.py states them, the functions that are let past row security, and the policies.

CREATE SCHEMA app AUTHORIZATION tendays_owner;
GRANT USAGE ON SCHEMA app TO tendays_app, tendays_worker;

-- WHO IS ASKING. Set by app.enter for one transaction; a transaction that has not entered is refused by name,
-- also when the setting is '' (what it is after its first transaction on a connection).

CREATE FUNCTION app.setting(p_name text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE v text := current_setting(p_name, true);
BEGIN
  IF v IS NULL OR v = '' THEN
    RAISE EXCEPTION 'No caller has entered this transaction.' USING ERRCODE = 'TD401';
  END IF;
  RETURN v;
END $$;

CREATE FUNCTION app.caller() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT app.setting('app.client')::uuid $$;
CREATE FUNCTION app.org() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT app.setting('app.org')::uuid $$;
CREATE FUNCTION app.kind() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT app.setting('app.kind') $$;
CREATE FUNCTION app.schools() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT app.setting('app.schools')::uuid[] $$;
-- Those of them for which the caller may also write: a grant can be for reading only.
CREATE FUNCTION app.writes() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT app.setting('app.writes')::uuid[] $$;

-- The smallest UUIDv7 of a moment: the bound of a partition.
CREATE FUNCTION app.uuid7_floor(p_at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM p_at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- TABLES

CREATE SEQUENCE events_seq;

CREATE TABLE attempts (
    id UUID NOT NULL,
    delivery_id UUID NOT NULL,
    endpoint_id UUID NOT NULL,
    org_id UUID NOT NULL,
    no INTEGER NOT NULL CONSTRAINT ck_attempts_no_least CHECK (no >= 1),
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    elapsed_ms INTEGER NOT NULL CONSTRAINT ck_attempts_elapsed_ms_least CHECK (elapsed_ms >= 0),
    status INTEGER,
    error TEXT,
    request_headers JSONB,
    response_body TEXT,
    CONSTRAINT pk_attempts PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE INDEX ix_attempts_delivery_id ON attempts (delivery_id, id);
CREATE INDEX ix_attempts_org_id ON attempts (org_id, id);

CREATE TABLE clock (
    one INTEGER NOT NULL CONSTRAINT ck_clock_single CHECK (one = 1),
    offset_seconds BIGINT NOT NULL,
    CONSTRAINT pk_clock PRIMARY KEY (one)
);

CREATE TABLE dated_policies (
    id UUID NOT NULL,
    topic TEXT NOT NULL CONSTRAINT ck_dated_policies_topic_known CHECK (topic IN ('entitlement', 'age_prohibition', 'cover', 'day')),
    name TEXT NOT NULL CONSTRAINT ck_dated_policies_name_length CHECK (length(name) <= 200),
    starts_on DATE NOT NULL,
    ends_on DATE,
    body JSONB NOT NULL,
    source TEXT CONSTRAINT ck_dated_policies_source_length CHECK (length(source) <= 1000),
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_dated_policies PRIMARY KEY (id)
);

CREATE INDEX ix_dated_policies_topic ON dated_policies (topic, starts_on);

CREATE TABLE deliveries (
    id UUID NOT NULL,
    endpoint_id UUID NOT NULL,
    org_id UUID NOT NULL,
    event_id UUID NOT NULL,
    event_type TEXT NOT NULL,
    order_key UUID NOT NULL,
    sequence INTEGER NOT NULL,
    position BIGINT NOT NULL,
    lane TEXT DEFAULT 'normal' NOT NULL CONSTRAINT ck_deliveries_lane_known CHECK (lane IN ('normal', 'safety')),
    state TEXT DEFAULT 'pending' NOT NULL CONSTRAINT ck_deliveries_state_known CHECK (state IN ('pending', 'delivered', 'failed', 'revoked', 'cancelled')),
    replay BOOLEAN DEFAULT 'false' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL CONSTRAINT ck_deliveries_attempts_least CHECK (attempts >= 0),
    due_at TIMESTAMP WITH TIME ZONE,
    leased_until TIMESTAMP WITH TIME ZONE,
    leased_by UUID,
    last_status INTEGER,
    last_error TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    undelivered_raised_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_deliveries PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE INDEX ix_deliveries_due ON deliveries (lane, due_at) WHERE state = 'pending';
CREATE INDEX ix_deliveries_endpoint_id ON deliveries (endpoint_id, id);
CREATE INDEX ix_deliveries_order ON deliveries (endpoint_id, order_key, sequence) WHERE state = 'pending';
CREATE INDEX ix_deliveries_org_id ON deliveries (org_id, id);

CREATE TABLE encounters (
    academic_year INTEGER NOT NULL,
    id UUID NOT NULL,
    school_id UUID NOT NULL,
    enrolment_id UUID NOT NULL,
    person_no INTEGER NOT NULL,
    participation_id UUID,
    booking_id UUID,
    employer_id UUID,
    employer_name TEXT CONSTRAINT ck_encounters_employer_name_length CHECK (length(employer_name) <= 200),
    title TEXT CONSTRAINT ck_encounters_title_length CHECK (length(title) <= 200),
    kind TEXT NOT NULL CONSTRAINT ck_encounters_kind_known CHECK (kind IN ('workplace_tour', 'workplace_visit', 'employer_talk_on_site', 'work_shadowing', 'employer_project', 'placement', 'virtual_experience', 'school_based_encounter', 'innovative')),
    mode TEXT NOT NULL CONSTRAINT ck_encounters_mode_known CHECK (mode IN ('in_person', 'virtual', 'hybrid')),
    activity_band TEXT DEFAULT 'low' NOT NULL CONSTRAINT ck_encounters_activity_band_known CHECK (activity_band IN ('low', 'medium', 'high')),
    starts_on DATE NOT NULL,
    ends_on DATE NOT NULL,
    nc_year TEXT NOT NULL CONSTRAINT ck_encounters_nc_year_known CHECK (nc_year IN ('E1', 'E2', 'N1', 'N2', 'R', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', 'X')),
    in_person_minutes INTEGER NOT NULL CONSTRAINT ck_encounters_in_person_minutes_least CHECK (in_person_minutes >= 0),
    virtual_minutes INTEGER NOT NULL CONSTRAINT ck_encounters_virtual_minutes_least CHECK (virtual_minutes >= 0),
    days INTEGER NOT NULL CONSTRAINT ck_encounters_days_least CHECK (days >= 0),
    criteria_offered TEXT[] DEFAULT '{}' NOT NULL,
    criteria_confirmed TEXT[] DEFAULT '{}' NOT NULL,
    bm5_offered BOOLEAN DEFAULT 'false' NOT NULL,
    bm5 BOOLEAN DEFAULT 'false' NOT NULL,
    bm6_offered BOOLEAN DEFAULT 'false' NOT NULL,
    bm6 BOOLEAN DEFAULT 'false' NOT NULL,
    evidence JSONB,
    per_day JSONB NOT NULL,
    state TEXT DEFAULT 'credited' NOT NULL CONSTRAINT ck_encounters_state_known CHECK (state IN ('credited', 'reversed')),
    version INTEGER DEFAULT '1' NOT NULL,
    recorded_by UUID NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_encounters PRIMARY KEY (academic_year, id)
) PARTITION BY RANGE (academic_year);

CREATE INDEX ix_encounters_booking_id ON encounters (booking_id);
CREATE INDEX ix_encounters_enrolment_id ON encounters (enrolment_id, id);
CREATE INDEX ix_encounters_school_id ON encounters (school_id, id);

CREATE TABLE events (
    id UUID NOT NULL,
    seq BIGINT DEFAULT nextval('events_seq') NOT NULL,
    position BIGINT,
    type TEXT NOT NULL CONSTRAINT ck_events_type_length CHECK (length(type) <= 80),
    audience TEXT NOT NULL CONSTRAINT ck_events_audience_known CHECK (audience IN ('school', 'employer', 'hub')),
    audience_id UUID NOT NULL,
    only_client_org UUID,
    order_key UUID NOT NULL,
    sequence INTEGER NOT NULL,
    lane TEXT DEFAULT 'normal' NOT NULL CONSTRAINT ck_events_lane_known CHECK (lane IN ('normal', 'safety')),
    body BYTEA NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    positioned_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_events PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE INDEX ix_events_audience_id ON events (audience_id, position);
CREATE INDEX ix_events_position ON events (position);
CREATE INDEX ix_events_unnumbered ON events (seq) WHERE position IS NULL;

CREATE TABLE fanout (
    one SERIAL NOT NULL,
    position BIGINT NOT NULL CONSTRAINT ck_fanout_position_least CHECK (position >= 0),
    CONSTRAINT pk_fanout PRIMARY KEY (one)
);

CREATE TABLE idempotency_keys (
    client_id UUID NOT NULL,
    key TEXT NOT NULL CONSTRAINT ck_idempotency_keys_key_length CHECK (length(key) <= 255),
    request_hash BYTEA NOT NULL,
    status INTEGER NOT NULL,
    headers JSONB NOT NULL,
    body_sealed BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (client_id, key)
);

CREATE INDEX ix_idempotency_keys_expires_at ON idempotency_keys (expires_at);

CREATE TABLE ledger_entries (
    academic_year INTEGER NOT NULL,
    id UUID NOT NULL,
    school_id UUID NOT NULL,
    enrolment_id UUID NOT NULL,
    person_no INTEGER NOT NULL,
    encounter_id UUID NOT NULL,
    entry TEXT NOT NULL CONSTRAINT ck_ledger_entries_entry_known CHECK (entry IN ('credit', 'reversal', 'transferred_in')),
    reverses_id UUID,
    on_date DATE NOT NULL,
    nc_year TEXT NOT NULL CONSTRAINT ck_ledger_entries_nc_year_known CHECK (nc_year IN ('E1', 'E2', 'N1', 'N2', 'R', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', 'X')),
    kind TEXT NOT NULL CONSTRAINT ck_ledger_entries_kind_known CHECK (kind IN ('workplace_tour', 'workplace_visit', 'employer_talk_on_site', 'work_shadowing', 'employer_project', 'placement', 'virtual_experience', 'school_based_encounter', 'innovative')),
    mode TEXT NOT NULL CONSTRAINT ck_ledger_entries_mode_known CHECK (mode IN ('in_person', 'virtual', 'hybrid')),
    in_person_minutes INTEGER NOT NULL,
    virtual_minutes INTEGER NOT NULL,
    bm5 BOOLEAN DEFAULT 'false' NOT NULL,
    bm6 BOOLEAN DEFAULT 'false' NOT NULL,
    employer_id UUID,
    happened_at TIMESTAMP WITH TIME ZONE NOT NULL,
    known_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_ledger_entries PRIMARY KEY (academic_year, id)
) PARTITION BY RANGE (academic_year);

CREATE INDEX ix_ledger_entries_encounter_id ON ledger_entries (encounter_id);
CREATE INDEX ix_ledger_entries_enrolment_id ON ledger_entries (enrolment_id, id);
CREATE INDEX ix_ledger_entries_school_id ON ledger_entries (school_id, academic_year, on_date);

CREATE TABLE order_keys (
    order_key UUID NOT NULL,
    audience_id UUID NOT NULL,
    last INTEGER NOT NULL,
    CONSTRAINT pk_order_keys PRIMARY KEY (order_key, audience_id)
);

CREATE TABLE organisations (
    id UUID NOT NULL,
    no INTEGER GENERATED ALWAYS AS IDENTITY,
    kind TEXT NOT NULL CONSTRAINT ck_organisations_kind_known CHECK (kind IN ('hub', 'trust', 'school', 'employer', 'vendor', 'authority', 'national')),
    name TEXT NOT NULL CONSTRAINT ck_organisations_name_length CHECK (length(name) <= 200),
    urn TEXT,
    laestab TEXT,
    companies_house TEXT,
    region TEXT,
    status TEXT DEFAULT 'active' NOT NULL CONSTRAINT ck_organisations_status_known CHECK (status IN ('active', 'closed')),
    predecessor_id UUID,
    registered_by UUID,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_organisations PRIMARY KEY (id),
    CONSTRAINT ck_organisations_urn_is_a_schools CHECK (kind = 'school' OR (urn IS NULL AND laestab IS NULL)),
    CONSTRAINT uq_organisations_no UNIQUE (no),
    CONSTRAINT fk_organisations_predecessor_id FOREIGN KEY(predecessor_id) REFERENCES organisations (id)
);

CREATE UNIQUE INDEX uq_organisations_companies_house ON organisations (companies_house) WHERE companies_house IS NOT NULL AND status = 'active';
CREATE UNIQUE INDEX uq_organisations_urn ON organisations (urn) WHERE urn IS NOT NULL AND status = 'active';

CREATE TABLE persons (
    id UUID NOT NULL,
    no INTEGER GENERATED ALWAYS AS IDENTITY,
    upn_hash BYTEA,
    identity_protected BOOLEAN DEFAULT 'false' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_persons PRIMARY KEY (id),
    CONSTRAINT uq_persons_no UNIQUE (no),
    CONSTRAINT uq_persons_upn_hash UNIQUE (upn_hash)
);

CREATE TABLE sequencer (
    one SERIAL NOT NULL,
    last BIGINT NOT NULL,
    CONSTRAINT pk_sequencer PRIMARY KEY (one)
);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL,
    private_sealed BYTEA NOT NULL,
    public_jwk JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    retired_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_signing_keys PRIMARY KEY (kid)
);

CREATE TABLE agreements (
    id UUID NOT NULL,
    controller_id UUID NOT NULL,
    agreement_version TEXT NOT NULL CONSTRAINT ck_agreements_agreement_version_length CHECK (length(agreement_version) <= 40),
    signed_on DATE NOT NULL,
    signatory_role TEXT NOT NULL CONSTRAINT ck_agreements_signatory_role_length CHECK (length(signatory_role) <= 120),
    lawful_basis TEXT NOT NULL CONSTRAINT ck_agreements_lawful_basis_length CHECK (length(lawful_basis) <= 120),
    processors TEXT[] DEFAULT '{}' NOT NULL,
    except_school_ids UUID[] DEFAULT '{}' NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    recorded_by UUID NOT NULL,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_agreements PRIMARY KEY (id),
    CONSTRAINT fk_agreements_controller_id FOREIGN KEY(controller_id) REFERENCES organisations (id)
);

CREATE INDEX ix_agreements_controller_id ON agreements (controller_id);

CREATE TABLE approval_acceptances (
    school_id UUID NOT NULL,
    approver_id UUID NOT NULL,
    accepted_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_approval_acceptances PRIMARY KEY (school_id, approver_id),
    CONSTRAINT fk_approval_acceptances_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_approval_acceptances_approver_id FOREIGN KEY(approver_id) REFERENCES organisations (id)
);

CREATE TABLE clients (
    id UUID NOT NULL,
    org_id UUID NOT NULL,
    name TEXT NOT NULL CONSTRAINT ck_clients_name_length CHECK (length(name) <= 200),
    scopes TEXT[] DEFAULT '{}' NOT NULL,
    jwks JSONB,
    revoked_at TIMESTAMP WITH TIME ZONE,
    created_by UUID,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_clients PRIMARY KEY (id),
    CONSTRAINT fk_clients_org_id FOREIGN KEY(org_id) REFERENCES organisations (id)
);

CREATE INDEX ix_clients_org_id ON clients (org_id);

CREATE TABLE disclosures (
    id UUID NOT NULL,
    school_id UUID NOT NULL,
    enrolment_id UUID NOT NULL,
    to_org_id UUID NOT NULL,
    client_id UUID NOT NULL,
    fields TEXT[] DEFAULT '{}' NOT NULL,
    basis TEXT NOT NULL CONSTRAINT ck_disclosures_basis_known CHECK (basis IN ('grant', 'release')),
    basis_id UUID,
    route TEXT NOT NULL CONSTRAINT ck_disclosures_route_length CHECK (length(route) <= 200),
    disclosed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_disclosures PRIMARY KEY (id),
    CONSTRAINT fk_disclosures_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_disclosures_to_org_id FOREIGN KEY(to_org_id) REFERENCES organisations (id)
);

CREATE INDEX ix_disclosures_school_id ON disclosures (school_id, id);

CREATE TABLE employers (
    id UUID NOT NULL,
    size_band TEXT NOT NULL CONSTRAINT ck_employers_size_band_known CHECK (size_band IN ('micro', 'small', 'medium', 'large')),
    sic_section TEXT CONSTRAINT ck_employers_sic_section_known CHECK (sic_section IN ('A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U')),
    sectors TEXT[] DEFAULT '{}' NOT NULL,
    about TEXT CONSTRAINT ck_employers_about_length CHECK (length(about) <= 2000),
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_employers PRIMARY KEY (id),
    CONSTRAINT fk_employers_id FOREIGN KEY(id) REFERENCES organisations (id)
);

CREATE TABLE encounter_refs (
    school_id UUID NOT NULL,
    org_id UUID NOT NULL,
    external_ref TEXT NOT NULL CONSTRAINT ck_encounter_refs_external_ref_length CHECK (length(external_ref) <= 200),
    encounter_id UUID NOT NULL,
    academic_year INTEGER NOT NULL,
    CONSTRAINT pk_encounter_refs PRIMARY KEY (school_id, org_id, external_ref),
    CONSTRAINT fk_encounter_refs_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_encounter_refs_org_id FOREIGN KEY(org_id) REFERENCES organisations (id)
);

CREATE INDEX ix_encounter_refs_encounter_id ON encounter_refs (encounter_id);

CREATE TABLE encounter_versions (
    id UUID NOT NULL,
    encounter_id UUID NOT NULL,
    academic_year INTEGER NOT NULL,
    school_id UUID NOT NULL,
    version INTEGER NOT NULL,
    was JSONB NOT NULL,
    reason TEXT CONSTRAINT ck_encounter_versions_reason_length CHECK (length(reason) <= 1000),
    client_id UUID NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_encounter_versions PRIMARY KEY (id),
    CONSTRAINT fk_encounter_versions_school_id FOREIGN KEY(school_id) REFERENCES organisations (id)
);

CREATE INDEX ix_encounter_versions_encounter_id ON encounter_versions (encounter_id, version);
CREATE INDEX ix_encounter_versions_school_id ON encounter_versions (school_id);

CREATE TABLE enrolments (
    id UUID NOT NULL,
    school_id UUID NOT NULL,
    person_id UUID NOT NULL,
    person_no INTEGER NOT NULL,
    kind TEXT DEFAULT 'main' NOT NULL CONSTRAINT ck_enrolments_kind_known CHECK (kind IN ('main', 'subsidiary', 'guest')),
    state TEXT DEFAULT 'active' NOT NULL CONSTRAINT ck_enrolments_state_known CHECK (state IN ('active', 'claimed', 'left')),
    starts_on DATE NOT NULL,
    ends_on DATE,
    upn_sealed BYTEA,
    upn_hash BYTEA,
    former_upn_hash BYTEA,
    given_name TEXT NOT NULL CONSTRAINT ck_enrolments_given_name_length CHECK (length(given_name) <= 100),
    family_name TEXT NOT NULL CONSTRAINT ck_enrolments_family_name_length CHECK (length(family_name) <= 100),
    known_as TEXT CONSTRAINT ck_enrolments_known_as_length CHECK (length(known_as) <= 100),
    date_of_birth DATE NOT NULL,
    identity_protected BOOLEAN DEFAULT 'false' NOT NULL,
    access_needs TEXT CONSTRAINT ck_enrolments_access_needs_length CHECK (length(access_needs) <= 2000),
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_enrolments PRIMARY KEY (id),
    CONSTRAINT fk_enrolments_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_enrolments_person_id FOREIGN KEY(person_id) REFERENCES persons (id)
);

CREATE INDEX ix_enrolments_person_id ON enrolments (person_id);
CREATE INDEX ix_enrolments_school_id ON enrolments (school_id, id);
CREATE UNIQUE INDEX uq_enrolments_school_upn ON enrolments (school_id, upn_hash) WHERE upn_hash IS NOT NULL;

CREATE TABLE grants (
    id UUID NOT NULL,
    grantor_id UUID NOT NULL,
    grantee_id UUID NOT NULL,
    school_id UUID,
    except_school_ids UUID[] DEFAULT '{}' NOT NULL,
    field_groups TEXT[] DEFAULT '{}' NOT NULL,
    write BOOLEAN DEFAULT 'true' NOT NULL,
    starts_on DATE NOT NULL,
    revoked_at TIMESTAMP WITH TIME ZONE,
    revoked_by UUID,
    recorded_by UUID NOT NULL,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_grants PRIMARY KEY (id),
    CONSTRAINT ck_grants_field_groups_known CHECK (field_groups <@ ARRAY['identity', 'enrolment', 'access_needs', 'sen', 'free_school_meals', 'pupil_premium', 'eal', 'looked_after', 'service_child', 'young_carer', 'attendance', 'behaviour']::text[]),
    CONSTRAINT fk_grants_grantor_id FOREIGN KEY(grantor_id) REFERENCES organisations (id),
    CONSTRAINT fk_grants_grantee_id FOREIGN KEY(grantee_id) REFERENCES organisations (id),
    CONSTRAINT fk_grants_school_id FOREIGN KEY(school_id) REFERENCES organisations (id)
);

CREATE INDEX ix_grants_grantee_id ON grants (grantee_id, grantor_id);
CREATE INDEX ix_grants_grantor_id ON grants (grantor_id);

CREATE TABLE memberships (
    id UUID NOT NULL,
    member_id UUID NOT NULL,
    member_no INTEGER NOT NULL,
    parent_id UUID NOT NULL,
    kind TEXT NOT NULL CONSTRAINT ck_memberships_kind_known CHECK (kind IN ('hub', 'trust', 'authority', 'national')),
    starts_on DATE NOT NULL,
    ends_on DATE,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_memberships PRIMARY KEY (id),
    CONSTRAINT ck_memberships_in_order CHECK (ends_on IS NULL OR ends_on > starts_on),
    CONSTRAINT ex_memberships_one_hub EXCLUDE USING gist (int4range(member_no, member_no, '[]') WITH &&, daterange(starts_on, ends_on) WITH &&) WHERE (kind = 'hub'),
    CONSTRAINT ex_memberships_one_trust EXCLUDE USING gist (int4range(member_no, member_no, '[]') WITH &&, daterange(starts_on, ends_on) WITH &&) WHERE (kind = 'trust'),
    CONSTRAINT ex_memberships_one_authority EXCLUDE USING gist (int4range(member_no, member_no, '[]') WITH &&, daterange(starts_on, ends_on) WITH &&) WHERE (kind = 'authority'),
    CONSTRAINT fk_memberships_member_id FOREIGN KEY(member_id) REFERENCES organisations (id),
    CONSTRAINT fk_memberships_parent_id FOREIGN KEY(parent_id) REFERENCES organisations (id)
);

CREATE INDEX ix_memberships_member_id ON memberships (member_id, kind);
CREATE INDEX ix_memberships_parent_id ON memberships (parent_id, kind, member_id);

CREATE TABLE programmes (
    id UUID NOT NULL,
    owner_id UUID NOT NULL,
    external_ref TEXT CONSTRAINT ck_programmes_external_ref_length CHECK (length(external_ref) <= 200),
    name TEXT NOT NULL CONSTRAINT ck_programmes_name_length CHECK (length(name) <= 200),
    funder TEXT CONSTRAINT ck_programmes_funder_length CHECK (length(funder) <= 200),
    starts_on DATE NOT NULL,
    ends_on DATE NOT NULL,
    budget_pence BIGINT CONSTRAINT ck_programmes_budget_pence_least CHECK (budget_pence >= 0),
    state TEXT DEFAULT 'running' NOT NULL CONSTRAINT ck_programmes_state_known CHECK (state IN ('draft', 'running', 'closed')),
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_programmes PRIMARY KEY (id),
    CONSTRAINT ck_programmes_in_order CHECK (ends_on >= starts_on),
    CONSTRAINT uq_programmes_external_ref UNIQUE (owner_id, external_ref),
    CONSTRAINT fk_programmes_owner_id FOREIGN KEY(owner_id) REFERENCES organisations (id)
);

CREATE TABLE school_states (
    school_id UUID NOT NULL,
    roll_complete_at TIMESTAMP WITH TIME ZONE,
    last_sync_at TIMESTAMP WITH TIME ZONE,
    field_groups TEXT[] DEFAULT '{}' NOT NULL,
    attendance_overdue INTEGER DEFAULT '0' NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_school_states PRIMARY KEY (school_id),
    CONSTRAINT ck_school_states_overdue_counted CHECK (attendance_overdue >= 0),
    CONSTRAINT fk_school_states_school_id FOREIGN KEY(school_id) REFERENCES organisations (id)
);

CREATE TABLE summaries (
    school_id UUID NOT NULL,
    academic_year INTEGER NOT NULL,
    nc_year TEXT NOT NULL CONSTRAINT ck_summaries_nc_year_known CHECK (nc_year IN ('E1', 'E2', 'N1', 'N2', 'R', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', 'X')),
    kind TEXT NOT NULL CONSTRAINT ck_summaries_kind_known CHECK (kind IN ('workplace_tour', 'workplace_visit', 'employer_talk_on_site', 'work_shadowing', 'employer_project', 'placement', 'virtual_experience', 'school_based_encounter', 'innovative')),
    encounters INTEGER DEFAULT '0' NOT NULL,
    minutes INTEGER DEFAULT '0' NOT NULL,
    virtual_minutes INTEGER DEFAULT '0' NOT NULL,
    bm5 INTEGER DEFAULT '0' NOT NULL,
    bm6 INTEGER DEFAULT '0' NOT NULL,
    CONSTRAINT pk_summaries PRIMARY KEY (school_id, academic_year, nc_year, kind),
    CONSTRAINT fk_summaries_school_id FOREIGN KEY(school_id) REFERENCES organisations (id)
);

CREATE TABLE webhook_endpoints (
    id UUID NOT NULL,
    org_id UUID NOT NULL,
    client_id UUID NOT NULL,
    school_id UUID,
    url TEXT NOT NULL CONSTRAINT ck_webhook_endpoints_url_length CHECK (length(url) <= 2000),
    description TEXT CONSTRAINT ck_webhook_endpoints_description_length CHECK (length(description) <= 500),
    event_types TEXT[] DEFAULT '{}' NOT NULL,
    signatures TEXT[] DEFAULT '{}' NOT NULL,
    state TEXT DEFAULT 'active' NOT NULL CONSTRAINT ck_webhook_endpoints_state_known CHECK (state IN ('active', 'paused', 'off')),
    off_reason TEXT,
    secret_sealed BYTEA NOT NULL,
    private_key_sealed BYTEA,
    public_key TEXT,
    old_secret_sealed BYTEA,
    old_private_key_sealed BYTEA,
    old_until TIMESTAMP WITH TIME ZONE,
    rate_per_second INTEGER CONSTRAINT ck_webhook_endpoints_rate_per_second_least CHECK (rate_per_second >= 1),
    concurrency INTEGER DEFAULT '8' NOT NULL CONSTRAINT ck_webhook_endpoints_concurrency_least CHECK (concurrency >= 1),
    from_position BIGINT NOT NULL CONSTRAINT ck_webhook_endpoints_from_position_least CHECK (from_position >= 0),
    failing_since TIMESTAMP WITH TIME ZONE,
    warned INTEGER DEFAULT '0' NOT NULL CONSTRAINT ck_webhook_endpoints_warned_least CHECK (warned >= 0),
    slow_until TIMESTAMP WITH TIME ZONE,
    last_success_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_webhook_endpoints PRIMARY KEY (id),
    CONSTRAINT fk_webhook_endpoints_org_id FOREIGN KEY(org_id) REFERENCES organisations (id),
    CONSTRAINT fk_webhook_endpoints_school_id FOREIGN KEY(school_id) REFERENCES organisations (id)
);

CREATE INDEX ix_webhook_endpoints_org_id ON webhook_endpoints (org_id, id);
CREATE INDEX ix_webhook_endpoints_school_id ON webhook_endpoints (school_id);

CREATE TABLE allocations (
    id UUID NOT NULL,
    programme_id UUID NOT NULL,
    owner_id UUID NOT NULL,
    school_id UUID NOT NULL,
    amount_pence BIGINT NOT NULL CONSTRAINT ck_allocations_amount_pence_least CHECK (amount_pence >= 0),
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_allocations PRIMARY KEY (id),
    CONSTRAINT uq_allocations_school UNIQUE (programme_id, school_id),
    CONSTRAINT fk_allocations_programme_id FOREIGN KEY(programme_id) REFERENCES programmes (id),
    CONSTRAINT fk_allocations_owner_id FOREIGN KEY(owner_id) REFERENCES organisations (id),
    CONSTRAINT fk_allocations_school_id FOREIGN KEY(school_id) REFERENCES organisations (id)
);

CREATE TABLE assertion_ids (
    client_id UUID NOT NULL,
    jti TEXT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_assertion_ids PRIMARY KEY (client_id, jti),
    CONSTRAINT fk_assertion_ids_client_id FOREIGN KEY(client_id) REFERENCES clients (id)
);

CREATE TABLE balances (
    enrolment_id UUID NOT NULL,
    school_id UUID NOT NULL,
    person_no INTEGER NOT NULL,
    minutes INTEGER DEFAULT '0' NOT NULL,
    virtual_minutes INTEGER DEFAULT '0' NOT NULL,
    activity_minutes INTEGER DEFAULT '0' NOT NULL,
    placement_minutes INTEGER DEFAULT '0' NOT NULL,
    days INTEGER DEFAULT '0' NOT NULL,
    encounters INTEGER DEFAULT '0' NOT NULL,
    bm5 INTEGER DEFAULT '0' NOT NULL,
    bm6 INTEGER DEFAULT '0' NOT NULL,
    first_on DATE,
    last_on DATE,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_balances PRIMARY KEY (enrolment_id),
    CONSTRAINT fk_balances_enrolment_id FOREIGN KEY(enrolment_id) REFERENCES enrolments (id),
    CONSTRAINT fk_balances_school_id FOREIGN KEY(school_id) REFERENCES organisations (id)
);

CREATE INDEX ix_balances_school_id ON balances (school_id);

CREATE TABLE characteristics (
    id UUID NOT NULL,
    school_id UUID NOT NULL,
    enrolment_id UUID NOT NULL,
    field_group TEXT NOT NULL CONSTRAINT ck_characteristics_field_group_known CHECK (field_group IN ('identity', 'enrolment', 'access_needs', 'sen', 'free_school_meals', 'pupil_premium', 'eal', 'looked_after', 'service_child', 'young_carer', 'attendance', 'behaviour')),
    value TEXT NOT NULL CONSTRAINT ck_characteristics_value_length CHECK (length(value) <= 40),
    valid_from DATE NOT NULL,
    valid_to DATE,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    superseded_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_characteristics PRIMARY KEY (id),
    CONSTRAINT fk_characteristics_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_characteristics_enrolment_id FOREIGN KEY(enrolment_id) REFERENCES enrolments (id)
);

CREATE INDEX ix_characteristics_enrolment_id ON characteristics (enrolment_id, field_group, valid_from);
CREATE INDEX ix_characteristics_school_id ON characteristics (school_id);

CREATE TABLE client_secrets (
    id UUID NOT NULL,
    client_id UUID NOT NULL,
    hint TEXT NOT NULL CONSTRAINT ck_client_secrets_hint_length CHECK (length(hint) <= 40),
    secret_hash BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_client_secrets PRIMARY KEY (id),
    CONSTRAINT fk_client_secrets_client_id FOREIGN KEY(client_id) REFERENCES clients (id)
);

CREATE INDEX ix_client_secrets_client_id ON client_secrets (client_id);

CREATE TABLE costs (
    id UUID NOT NULL,
    programme_id UUID NOT NULL,
    owner_id UUID NOT NULL,
    school_id UUID NOT NULL,
    booking_id UUID,
    kind TEXT NOT NULL CONSTRAINT ck_costs_kind_known CHECK (kind IN ('coach', 'supply_cover', 'kit', 'lunch', 'insurance', 'other')),
    stage TEXT NOT NULL CONSTRAINT ck_costs_stage_known CHECK (stage IN ('commitment', 'spend')),
    paid_by TEXT NOT NULL CONSTRAINT ck_costs_paid_by_known CHECK (paid_by IN ('programme', 'school', 'employer', 'trust', 'parent')),
    amount_pence BIGINT NOT NULL CONSTRAINT ck_costs_amount_pence_least CHECK (amount_pence >= 0),
    on_date DATE NOT NULL,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_costs PRIMARY KEY (id),
    CONSTRAINT fk_costs_programme_id FOREIGN KEY(programme_id) REFERENCES programmes (id),
    CONSTRAINT fk_costs_owner_id FOREIGN KEY(owner_id) REFERENCES organisations (id),
    CONSTRAINT fk_costs_school_id FOREIGN KEY(school_id) REFERENCES organisations (id)
);

CREATE INDEX ix_costs_booking_id ON costs (booking_id);
CREATE INDEX ix_costs_programme_id ON costs (programme_id, school_id);

CREATE TABLE nc_years (
    enrolment_id UUID NOT NULL,
    academic_year INTEGER NOT NULL,
    school_id UUID NOT NULL,
    nc_year TEXT NOT NULL CONSTRAINT ck_nc_years_nc_year_known CHECK (nc_year IN ('E1', 'E2', 'N1', 'N2', 'R', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', 'X')),
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_nc_years PRIMARY KEY (enrolment_id, academic_year),
    CONSTRAINT fk_nc_years_enrolment_id FOREIGN KEY(enrolment_id) REFERENCES enrolments (id),
    CONSTRAINT fk_nc_years_school_id FOREIGN KEY(school_id) REFERENCES organisations (id)
);

CREATE INDEX ix_nc_years_school_id ON nc_years (school_id, academic_year, nc_year);

CREATE TABLE pupil_refs (
    school_id UUID NOT NULL,
    org_id UUID NOT NULL,
    external_ref TEXT NOT NULL CONSTRAINT ck_pupil_refs_external_ref_length CHECK (length(external_ref) <= 200),
    enrolment_id UUID NOT NULL,
    CONSTRAINT pk_pupil_refs PRIMARY KEY (school_id, org_id, external_ref),
    CONSTRAINT fk_pupil_refs_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_pupil_refs_org_id FOREIGN KEY(org_id) REFERENCES organisations (id),
    CONSTRAINT fk_pupil_refs_enrolment_id FOREIGN KEY(enrolment_id) REFERENCES enrolments (id)
);

CREATE INDEX ix_pupil_refs_enrolment_id ON pupil_refs (enrolment_id);

CREATE TABLE revoked_tokens (
    jti TEXT NOT NULL,
    client_id UUID NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revoked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_revoked_tokens PRIMARY KEY (jti),
    CONSTRAINT fk_revoked_tokens_client_id FOREIGN KEY(client_id) REFERENCES clients (id)
);

CREATE TABLE sites (
    id UUID NOT NULL,
    employer_id UUID NOT NULL,
    external_ref TEXT CONSTRAINT ck_sites_external_ref_length CHECK (length(external_ref) <= 200),
    name TEXT NOT NULL CONSTRAINT ck_sites_name_length CHECK (length(name) <= 200),
    address TEXT NOT NULL CONSTRAINT ck_sites_address_length CHECK (length(address) <= 400),
    town TEXT NOT NULL CONSTRAINT ck_sites_town_length CHECK (length(town) <= 100),
    postcode TEXT NOT NULL CONSTRAINT ck_sites_postcode_length CHECK (length(postcode) <= 10),
    access TEXT CONSTRAINT ck_sites_access_length CHECK (length(access) <= 2000),
    travel TEXT CONSTRAINT ck_sites_travel_length CHECK (length(travel) <= 2000),
    state TEXT DEFAULT 'open' NOT NULL CONSTRAINT ck_sites_state_known CHECK (state IN ('open', 'closed')),
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_sites PRIMARY KEY (id),
    CONSTRAINT uq_sites_external_ref UNIQUE (employer_id, external_ref),
    CONSTRAINT fk_sites_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id)
);

CREATE INDEX ix_sites_employer_id ON sites (employer_id, id);

CREATE TABLE strands (
    id UUID NOT NULL,
    programme_id UUID NOT NULL,
    owner_id UUID NOT NULL,
    code TEXT NOT NULL CONSTRAINT ck_strands_code_length CHECK (length(code) <= 60),
    name TEXT NOT NULL CONSTRAINT ck_strands_name_length CHECK (length(name) <= 200),
    model TEXT CONSTRAINT ck_strands_model_length CHECK (length(model) <= 2000),
    removed_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_strands PRIMARY KEY (id),
    CONSTRAINT uq_strands_code UNIQUE (programme_id, code),
    CONSTRAINT fk_strands_programme_id FOREIGN KEY(programme_id) REFERENCES programmes (id),
    CONSTRAINT fk_strands_owner_id FOREIGN KEY(owner_id) REFERENCES organisations (id)
);

CREATE TABLE suspensions (
    id UUID NOT NULL,
    employer_id UUID NOT NULL,
    suspended_by UUID NOT NULL,
    suspended_at TIMESTAMP WITH TIME ZONE NOT NULL,
    lifted_at TIMESTAMP WITH TIME ZONE,
    private_note TEXT CONSTRAINT ck_suspensions_private_note_length CHECK (length(private_note) <= 2000),
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_suspensions PRIMARY KEY (id),
    CONSTRAINT fk_suspensions_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id),
    CONSTRAINT fk_suspensions_suspended_by FOREIGN KEY(suspended_by) REFERENCES organisations (id)
);

CREATE UNIQUE INDEX uq_suspensions_open ON suspensions (employer_id, suspended_by) WHERE lifted_at IS NULL;

CREATE TABLE yearly_balances (
    enrolment_id UUID NOT NULL,
    academic_year INTEGER NOT NULL,
    school_id UUID NOT NULL,
    person_no INTEGER NOT NULL,
    nc_year TEXT NOT NULL CONSTRAINT ck_yearly_balances_nc_year_known CHECK (nc_year IN ('E1', 'E2', 'N1', 'N2', 'R', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', 'X')),
    kind TEXT NOT NULL CONSTRAINT ck_yearly_balances_kind_known CHECK (kind IN ('workplace_tour', 'workplace_visit', 'employer_talk_on_site', 'work_shadowing', 'employer_project', 'placement', 'virtual_experience', 'school_based_encounter', 'innovative')),
    minutes INTEGER DEFAULT '0' NOT NULL,
    virtual_minutes INTEGER DEFAULT '0' NOT NULL,
    encounters INTEGER DEFAULT '0' NOT NULL,
    days INTEGER DEFAULT '0' NOT NULL,
    bm5 INTEGER DEFAULT '0' NOT NULL,
    bm6 INTEGER DEFAULT '0' NOT NULL,
    CONSTRAINT pk_yearly_balances PRIMARY KEY (enrolment_id, academic_year, nc_year, kind),
    CONSTRAINT fk_yearly_balances_enrolment_id FOREIGN KEY(enrolment_id) REFERENCES enrolments (id),
    CONSTRAINT fk_yearly_balances_school_id FOREIGN KEY(school_id) REFERENCES organisations (id)
);

CREATE INDEX ix_yearly_balances_school_id ON yearly_balances (school_id, academic_year, nc_year, kind);

CREATE TABLE approvals (
    id UUID NOT NULL,
    approver_id UUID NOT NULL,
    employer_id UUID NOT NULL,
    site_id UUID NOT NULL,
    kind TEXT NOT NULL CONSTRAINT ck_approvals_kind_known CHECK (kind IN ('workplace_tour', 'workplace_visit', 'employer_talk_on_site', 'work_shadowing', 'employer_project', 'placement', 'virtual_experience', 'school_based_encounter', 'innovative')),
    activity_band TEXT NOT NULL CONSTRAINT ck_approvals_activity_band_known CHECK (activity_band IN ('low', 'medium', 'high')),
    state TEXT DEFAULT 'approved' NOT NULL CONSTRAINT ck_approvals_state_known CHECK (state IN ('approved', 'withdrawn')),
    approved_on DATE NOT NULL,
    expires_on DATE NOT NULL,
    basis TEXT CONSTRAINT ck_approvals_basis_length CHECK (length(basis) <= 1000),
    withdrawn_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_approvals PRIMARY KEY (id),
    CONSTRAINT fk_approvals_approver_id FOREIGN KEY(approver_id) REFERENCES organisations (id),
    CONSTRAINT fk_approvals_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id),
    CONSTRAINT fk_approvals_site_id FOREIGN KEY(site_id) REFERENCES sites (id)
);

CREATE INDEX ix_approvals_approver_id ON approvals (approver_id, id);
CREATE INDEX ix_approvals_employer_id ON approvals (employer_id, id);
CREATE INDEX ix_approvals_site_id ON approvals (site_id, kind, activity_band);

CREATE TABLE contacts (
    id UUID NOT NULL,
    employer_id UUID NOT NULL,
    site_id UUID,
    name TEXT NOT NULL CONSTRAINT ck_contacts_name_length CHECK (length(name) <= 200),
    role TEXT NOT NULL CONSTRAINT ck_contacts_role_length CHECK (length(role) <= 120),
    email TEXT CONSTRAINT ck_contacts_email_length CHECK (length(email) <= 254),
    phone TEXT CONSTRAINT ck_contacts_phone_length CHECK (length(phone) <= 40),
    supervises BOOLEAN DEFAULT 'false' NOT NULL,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_contacts PRIMARY KEY (id),
    CONSTRAINT fk_contacts_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id),
    CONSTRAINT fk_contacts_site_id FOREIGN KEY(site_id) REFERENCES sites (id)
);

CREATE INDEX ix_contacts_employer_id ON contacts (employer_id, id);

CREATE TABLE covers (
    id UUID NOT NULL,
    employer_id UUID NOT NULL,
    site_id UUID,
    external_ref TEXT CONSTRAINT ck_covers_external_ref_length CHECK (length(external_ref) <= 200),
    kind TEXT NOT NULL CONSTRAINT ck_covers_kind_known CHECK (kind IN ('policy', 'nhs_indemnity', 'public_body_exempt', 'taken_out_for_this_booking')),
    liability TEXT NOT NULL CONSTRAINT ck_covers_liability_known CHECK (liability IN ('employers_liability', 'public_liability')),
    insurer TEXT CONSTRAINT ck_covers_insurer_length CHECK (length(insurer) <= 200),
    policy_number TEXT CONSTRAINT ck_covers_policy_number_length CHECK (length(policy_number) <= 100),
    limit_pence BIGINT CONSTRAINT ck_covers_limit_pence_least CHECK (limit_pence >= 0),
    starts_on DATE NOT NULL,
    expires_on DATE,
    attested_on DATE,
    attested_by TEXT CONSTRAINT ck_covers_attested_by_length CHECK (length(attested_by) <= 200),
    withdrawn_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_covers PRIMARY KEY (id),
    CONSTRAINT ck_covers_policy_is_whole CHECK (kind <> 'policy' OR (insurer IS NOT NULL AND policy_number IS NOT NULL AND limit_pence IS NOT NULL AND expires_on IS NOT NULL)),
    CONSTRAINT uq_covers_external_ref UNIQUE (employer_id, external_ref),
    CONSTRAINT fk_covers_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id),
    CONSTRAINT fk_covers_site_id FOREIGN KEY(site_id) REFERENCES sites (id)
);

CREATE INDEX ix_covers_employer_id ON covers (employer_id, id);

CREATE TABLE programme_schools (
    id UUID NOT NULL,
    programme_id UUID NOT NULL,
    owner_id UUID NOT NULL,
    strand_id UUID,
    school_id UUID NOT NULL,
    state TEXT DEFAULT 'enrolled' NOT NULL CONSTRAINT ck_programme_schools_state_known CHECK (state IN ('invited', 'enrolled', 'left')),
    joined_on DATE,
    left_on DATE,
    own_budget TEXT DEFAULT 'unknown' NOT NULL CONSTRAINT ck_programme_schools_own_budget_known CHECK (own_budget IN ('none', 'too_little', 'sufficient', 'unknown')),
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_programme_schools PRIMARY KEY (id),
    CONSTRAINT uq_programme_schools_strand UNIQUE (programme_id, strand_id, school_id),
    CONSTRAINT fk_programme_schools_programme_id FOREIGN KEY(programme_id) REFERENCES programmes (id),
    CONSTRAINT fk_programme_schools_owner_id FOREIGN KEY(owner_id) REFERENCES organisations (id),
    CONSTRAINT fk_programme_schools_strand_id FOREIGN KEY(strand_id) REFERENCES strands (id),
    CONSTRAINT fk_programme_schools_school_id FOREIGN KEY(school_id) REFERENCES organisations (id)
);

CREATE INDEX ix_programme_schools_school_id ON programme_schools (school_id);

CREATE TABLE site_bars (
    school_id UUID NOT NULL,
    enrolment_id UUID NOT NULL,
    site_id UUID NOT NULL,
    barred_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_site_bars PRIMARY KEY (enrolment_id, site_id),
    CONSTRAINT fk_site_bars_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_site_bars_enrolment_id FOREIGN KEY(enrolment_id) REFERENCES enrolments (id),
    CONSTRAINT fk_site_bars_site_id FOREIGN KEY(site_id) REFERENCES sites (id)
);

CREATE INDEX ix_site_bars_school_id ON site_bars (school_id);

CREATE TABLE targets (
    id UUID NOT NULL,
    programme_id UUID NOT NULL,
    owner_id UUID NOT NULL,
    strand_id UUID,
    measure TEXT NOT NULL CONSTRAINT ck_targets_measure_known CHECK (measure IN ('schools', 'young_people', 'minutes', 'share')),
    value BIGINT NOT NULL CONSTRAINT ck_targets_value_least CHECK (value >= 0),
    characteristic TEXT CONSTRAINT ck_targets_characteristic_length CHECK (length(characteristic) <= 40),
    due_on DATE,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_targets PRIMARY KEY (id),
    CONSTRAINT fk_targets_programme_id FOREIGN KEY(programme_id) REFERENCES programmes (id),
    CONSTRAINT fk_targets_owner_id FOREIGN KEY(owner_id) REFERENCES organisations (id),
    CONSTRAINT fk_targets_strand_id FOREIGN KEY(strand_id) REFERENCES strands (id)
);

CREATE INDEX ix_targets_programme_id ON targets (programme_id);

CREATE TABLE offers (
    id UUID NOT NULL,
    employer_id UUID NOT NULL,
    site_id UUID NOT NULL,
    contact_id UUID,
    external_ref TEXT CONSTRAINT ck_offers_external_ref_length CHECK (length(external_ref) <= 200),
    title TEXT NOT NULL CONSTRAINT ck_offers_title_length CHECK (length(title) <= 200),
    description TEXT CONSTRAINT ck_offers_description_length CHECK (length(description) <= 5000),
    kind TEXT NOT NULL CONSTRAINT ck_offers_kind_known CHECK (kind IN ('workplace_tour', 'workplace_visit', 'employer_talk_on_site', 'work_shadowing', 'employer_project', 'placement', 'virtual_experience', 'school_based_encounter', 'innovative')),
    mode TEXT DEFAULT 'in_person' NOT NULL CONSTRAINT ck_offers_mode_known CHECK (mode IN ('in_person', 'virtual', 'hybrid')),
    grouping TEXT NOT NULL CONSTRAINT ck_offers_grouping_known CHECK (grouping IN ('individual', 'group', 'class')),
    tier INTEGER NOT NULL,
    sector TEXT CONSTRAINT ck_offers_sector_length CHECK (length(sector) <= 60),
    skills TEXT[] DEFAULT '{}' NOT NULL,
    year_groups TEXT[] DEFAULT '{}' NOT NULL,
    year_mask INTEGER NOT NULL,
    criteria TEXT[] DEFAULT '{}' NOT NULL,
    hazards TEXT[] DEFAULT '{}' NOT NULL,
    activity_band TEXT DEFAULT 'low' NOT NULL CONSTRAINT ck_offers_activity_band_known CHECK (activity_band IN ('low', 'medium', 'high')),
    dress_code TEXT CONSTRAINT ck_offers_dress_code_length CHECK (length(dress_code) <= 1000),
    lunch TEXT CONSTRAINT ck_offers_lunch_length CHECK (length(lunch) <= 1000),
    tasks TEXT CONSTRAINT ck_offers_tasks_length CHECK (length(tasks) <= 5000),
    objectives TEXT CONSTRAINT ck_offers_objectives_length CHECK (length(objectives) <= 5000),
    visibility TEXT DEFAULT 'all_schools' NOT NULL CONSTRAINT ck_offers_visibility_known CHECK (visibility IN ('all_schools', 'named_hubs', 'named_programmes', 'named_schools')),
    restricted BOOLEAN GENERATED ALWAYS AS (visibility <> 'all_schools') STORED,
    state TEXT DEFAULT 'open' NOT NULL CONSTRAINT ck_offers_state_known CHECK (state IN ('draft', 'open', 'paused', 'withdrawn')),
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_offers PRIMARY KEY (id),
    CONSTRAINT ck_offers_tier_known CHECK (tier BETWEEN 1 AND 3),
    CONSTRAINT uq_offers_external_ref UNIQUE (employer_id, external_ref),
    CONSTRAINT fk_offers_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id),
    CONSTRAINT fk_offers_site_id FOREIGN KEY(site_id) REFERENCES sites (id),
    CONSTRAINT fk_offers_contact_id FOREIGN KEY(contact_id) REFERENCES contacts (id)
);

CREATE INDEX ix_offers_employer_id ON offers (employer_id, id);

CREATE TABLE offer_audiences (
    offer_id UUID NOT NULL,
    audience_id UUID NOT NULL,
    employer_id UUID NOT NULL,
    kind TEXT NOT NULL CONSTRAINT ck_offer_audiences_kind_known CHECK (kind IN ('hub', 'programme', 'school')),
    CONSTRAINT pk_offer_audiences PRIMARY KEY (offer_id, audience_id),
    CONSTRAINT fk_offer_audiences_offer_id FOREIGN KEY(offer_id) REFERENCES offers (id),
    CONSTRAINT fk_offer_audiences_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id)
);

CREATE INDEX ix_offer_audiences_audience_id ON offer_audiences (audience_id);

CREATE TABLE slots (
    id UUID NOT NULL,
    offer_id UUID NOT NULL,
    employer_id UUID NOT NULL,
    site_id UUID NOT NULL,
    external_ref TEXT CONSTRAINT ck_slots_external_ref_length CHECK (length(external_ref) <= 200),
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE NOT NULL,
    capacity INTEGER NOT NULL CONSTRAINT ck_slots_capacity_least CHECK (capacity >= 1),
    taken INTEGER DEFAULT '0' NOT NULL CONSTRAINT ck_slots_taken_least CHECK (taken >= 0),
    minutes INTEGER NOT NULL CONSTRAINT ck_slots_minutes_least CHECK (minutes >= 0),
    book_by TIMESTAMP WITH TIME ZONE NOT NULL,
    name_by TIMESTAMP WITH TIME ZONE NOT NULL,
    reply_within_hours INTEGER DEFAULT '120' NOT NULL CONSTRAINT ck_slots_reply_within_hours_least CHECK (reply_within_hours >= 1),
    restricted BOOLEAN DEFAULT 'false' NOT NULL,
    state TEXT DEFAULT 'open' NOT NULL CONSTRAINT ck_slots_state_known CHECK (state IN ('open', 'closed', 'cancelled')),
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_slots PRIMARY KEY (id),
    CONSTRAINT ck_slots_taken_within_capacity CHECK (taken <= capacity),
    CONSTRAINT ck_slots_in_order CHECK (ends_at > starts_at),
    CONSTRAINT uq_slots_external_ref UNIQUE (employer_id, external_ref),
    CONSTRAINT fk_slots_offer_id FOREIGN KEY(offer_id) REFERENCES offers (id),
    CONSTRAINT fk_slots_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id),
    CONSTRAINT fk_slots_site_id FOREIGN KEY(site_id) REFERENCES sites (id)
);

CREATE INDEX ix_slots_employer_id ON slots (employer_id, id);
CREATE INDEX ix_slots_offer_id ON slots (offer_id);

CREATE TABLE bookings (
    id UUID NOT NULL,
    school_id UUID NOT NULL,
    employer_id UUID NOT NULL,
    site_id UUID NOT NULL,
    offer_id UUID NOT NULL,
    slot_id UUID NOT NULL,
    programme_id UUID,
    strand_id UUID,
    school_ref TEXT CONSTRAINT ck_bookings_school_ref_length CHECK (length(school_ref) <= 200),
    employer_ref TEXT CONSTRAINT ck_bookings_employer_ref_length CHECK (length(employer_ref) <= 200),
    state TEXT NOT NULL CONSTRAINT ck_bookings_state_known CHECK (state IN ('waiting', 'requested', 'countered', 'confirmed', 'on_hold', 'declined', 'expired', 'cancelled', 'completed')),
    kind TEXT NOT NULL CONSTRAINT ck_bookings_kind_known CHECK (kind IN ('workplace_tour', 'workplace_visit', 'employer_talk_on_site', 'work_shadowing', 'employer_project', 'placement', 'virtual_experience', 'school_based_encounter', 'innovative')),
    nc_year TEXT CONSTRAINT ck_bookings_nc_year_known CHECK (nc_year IN ('E1', 'E2', 'N1', 'N2', 'R', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', 'X')),
    places INTEGER NOT NULL CONSTRAINT ck_bookings_places_least CHECK (places >= 1),
    named INTEGER DEFAULT '0' NOT NULL CONSTRAINT ck_bookings_named_least CHECK (named >= 0),
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    name_by TIMESTAMP WITH TIME ZONE NOT NULL,
    requested_at TIMESTAMP WITH TIME ZONE NOT NULL,
    confirmed_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    reason_code TEXT CONSTRAINT ck_bookings_reason_code_known CHECK (reason_code IN ('too_time_consuming', 'no_suitable_tasks', 'no_supervisor', 'capacity', 'group_too_large', 'date_unsuitable', 'age_unsuitable', 'adjustment_not_possible', 'risk_assessment', 'insurance', 'site_closed', 'business_change', 'industrial_action', 'offer_withdrawn', 'pupil_withdrawn', 'parental_agreement_withdrawn', 'transport', 'cost', 'staffing', 'timetable_clash', 'school_closed', 'not_needed', 'duplicate', 'withdrawn_by_school', 'weather', 'safeguarding', 'illness', 'other', 'employer_suspended', 'cover_lapsed', 'approval_withdrawn', 'under_review', 'hold_lifted', 'cover_renewed', 'no_answer_from_employer', 'no_answer_from_school', 'slot_started', 'slot_cancelled', 'participants_not_named', 'grant_revoked')),
    reason_actor TEXT CONSTRAINT ck_bookings_reason_actor_known CHECK (reason_actor IN ('school', 'employer', 'overseer', 'system')),
    counter_slot_id UUID,
    overdue_raised_at TIMESTAMP WITH TIME ZONE,
    requested_by UUID NOT NULL,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_bookings PRIMARY KEY (id),
    CONSTRAINT uq_bookings_school_ref UNIQUE (school_id, school_ref),
    CONSTRAINT fk_bookings_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_bookings_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id),
    CONSTRAINT fk_bookings_site_id FOREIGN KEY(site_id) REFERENCES sites (id),
    CONSTRAINT fk_bookings_offer_id FOREIGN KEY(offer_id) REFERENCES offers (id),
    CONSTRAINT fk_bookings_slot_id FOREIGN KEY(slot_id) REFERENCES slots (id),
    CONSTRAINT fk_bookings_programme_id FOREIGN KEY(programme_id) REFERENCES programmes (id),
    CONSTRAINT fk_bookings_strand_id FOREIGN KEY(strand_id) REFERENCES strands (id),
    CONSTRAINT fk_bookings_counter_slot_id FOREIGN KEY(counter_slot_id) REFERENCES slots (id)
);

CREATE INDEX ix_bookings_employer_id ON bookings (employer_id, id);
CREATE INDEX ix_bookings_expires_at ON bookings (expires_at) WHERE state IN ('requested', 'countered', 'waiting') AND expires_at IS NOT NULL;
CREATE INDEX ix_bookings_school_id ON bookings (school_id, id);
CREATE INDEX ix_bookings_slot_id ON bookings (slot_id);
CREATE INDEX ix_bookings_starts_at ON bookings (starts_at) WHERE state = 'confirmed';

CREATE TABLE open_slots (
    slot_id UUID NOT NULL,
    offer_id UUID NOT NULL,
    employer_id UUID NOT NULL,
    site_id UUID NOT NULL,
    restricted BOOLEAN NOT NULL,
    employer_name TEXT NOT NULL,
    size_band TEXT NOT NULL CONSTRAINT ck_open_slots_size_band_known CHECK (size_band IN ('micro', 'small', 'medium', 'large')),
    site_name TEXT NOT NULL,
    town TEXT NOT NULL,
    postcode_area TEXT NOT NULL,
    title TEXT NOT NULL,
    kind TEXT NOT NULL,
    mode TEXT NOT NULL,
    grouping TEXT NOT NULL,
    tier INTEGER NOT NULL,
    sector TEXT,
    activity_band TEXT NOT NULL,
    skills TEXT[] DEFAULT '{}' NOT NULL,
    year_groups TEXT[] DEFAULT '{}' NOT NULL,
    year_mask INTEGER NOT NULL,
    criteria TEXT[] DEFAULT '{}' NOT NULL,
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE NOT NULL,
    minutes INTEGER NOT NULL,
    book_by TIMESTAMP WITH TIME ZONE NOT NULL,
    capacity INTEGER NOT NULL,
    places_left INTEGER NOT NULL,
    CONSTRAINT pk_open_slots PRIMARY KEY (slot_id),
    CONSTRAINT fk_open_slots_slot_id FOREIGN KEY(slot_id) REFERENCES slots (id),
    CONSTRAINT fk_open_slots_offer_id FOREIGN KEY(offer_id) REFERENCES offers (id),
    CONSTRAINT fk_open_slots_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id),
    CONSTRAINT fk_open_slots_site_id FOREIGN KEY(site_id) REFERENCES sites (id)
);

CREATE INDEX ix_open_slots_kind ON open_slots (kind, starts_at, slot_id);
CREATE INDEX ix_open_slots_offer_id ON open_slots (offer_id) WHERE restricted;
CREATE INDEX ix_open_slots_sector ON open_slots (sector, starts_at, slot_id);
CREATE INDEX ix_open_slots_starts_at ON open_slots (starts_at, slot_id);

CREATE TABLE sittings (
    id UUID NOT NULL,
    slot_id UUID NOT NULL,
    employer_id UUID NOT NULL,
    no INTEGER NOT NULL CONSTRAINT ck_sittings_no_least CHECK (no >= 1),
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE NOT NULL,
    break_minutes INTEGER DEFAULT '0' NOT NULL CONSTRAINT ck_sittings_break_minutes_least CHECK (break_minutes >= 0),
    virtual BOOLEAN DEFAULT 'false' NOT NULL,
    CONSTRAINT pk_sittings PRIMARY KEY (id),
    CONSTRAINT ck_sittings_in_order CHECK (ends_at > starts_at),
    CONSTRAINT uq_sittings_no UNIQUE (slot_id, no),
    CONSTRAINT fk_sittings_slot_id FOREIGN KEY(slot_id) REFERENCES slots (id),
    CONSTRAINT fk_sittings_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id)
);

CREATE INDEX ix_sittings_employer_id ON sittings (employer_id);

CREATE TABLE booking_moves (
    id UUID NOT NULL,
    booking_id UUID NOT NULL,
    school_id UUID NOT NULL,
    employer_id UUID NOT NULL,
    no INTEGER NOT NULL CONSTRAINT ck_booking_moves_no_least CHECK (no >= 1),
    action TEXT NOT NULL CONSTRAINT ck_booking_moves_action_known CHECK (action IN ('request', 'join_waiting_list', 'promote', 'counter', 'accept_counter', 'confirm', 'decline', 'cancel', 'expire', 'hold', 'release', 'reschedule', 'complete')),
    actor TEXT NOT NULL CONSTRAINT ck_booking_moves_actor_known CHECK (actor IN ('school', 'employer', 'overseer', 'system')),
    client_id UUID NOT NULL,
    from_state TEXT CONSTRAINT ck_booking_moves_from_state_known CHECK (from_state IN ('waiting', 'requested', 'countered', 'confirmed', 'on_hold', 'declined', 'expired', 'cancelled', 'completed')),
    to_state TEXT NOT NULL CONSTRAINT ck_booking_moves_to_state_known CHECK (to_state IN ('waiting', 'requested', 'countered', 'confirmed', 'on_hold', 'declined', 'expired', 'cancelled', 'completed')),
    from_slot_id UUID,
    to_slot_id UUID,
    places INTEGER NOT NULL CONSTRAINT ck_booking_moves_places_least CHECK (places >= 0),
    reason_code TEXT CONSTRAINT ck_booking_moves_reason_code_known CHECK (reason_code IN ('too_time_consuming', 'no_suitable_tasks', 'no_supervisor', 'capacity', 'group_too_large', 'date_unsuitable', 'age_unsuitable', 'adjustment_not_possible', 'risk_assessment', 'insurance', 'site_closed', 'business_change', 'industrial_action', 'offer_withdrawn', 'pupil_withdrawn', 'parental_agreement_withdrawn', 'transport', 'cost', 'staffing', 'timetable_clash', 'school_closed', 'not_needed', 'duplicate', 'withdrawn_by_school', 'weather', 'safeguarding', 'illness', 'other', 'employer_suspended', 'cover_lapsed', 'approval_withdrawn', 'under_review', 'hold_lifted', 'cover_renewed', 'no_answer_from_employer', 'no_answer_from_school', 'slot_started', 'slot_cancelled', 'participants_not_named', 'grant_revoked')),
    note TEXT CONSTRAINT ck_booking_moves_note_length CHECK (length(note) <= 2000),
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_booking_moves PRIMARY KEY (id),
    CONSTRAINT uq_booking_moves_no UNIQUE (booking_id, no),
    CONSTRAINT fk_booking_moves_booking_id FOREIGN KEY(booking_id) REFERENCES bookings (id),
    CONSTRAINT fk_booking_moves_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_booking_moves_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id)
);

CREATE INDEX ix_booking_moves_employer_id ON booking_moves (employer_id);
CREATE INDEX ix_booking_moves_school_id ON booking_moves (school_id);

CREATE TABLE parental_agreements (
    id UUID NOT NULL,
    school_id UUID NOT NULL,
    enrolment_id UUID NOT NULL,
    booking_id UUID NOT NULL,
    state TEXT DEFAULT 'asked' NOT NULL CONSTRAINT ck_parental_agreements_state_known CHECK (state IN ('not_asked', 'asked', 'given', 'refused', 'withdrawn')),
    answered_on DATE,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_parental_agreements PRIMARY KEY (id),
    CONSTRAINT uq_parental_agreements_pupil UNIQUE (booking_id, enrolment_id),
    CONSTRAINT fk_parental_agreements_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_parental_agreements_enrolment_id FOREIGN KEY(enrolment_id) REFERENCES enrolments (id),
    CONSTRAINT fk_parental_agreements_booking_id FOREIGN KEY(booking_id) REFERENCES bookings (id)
);

CREATE INDEX ix_parental_agreements_school_id ON parental_agreements (school_id);

CREATE TABLE participations (
    id UUID NOT NULL,
    booking_id UUID NOT NULL,
    slot_id UUID NOT NULL,
    school_id UUID NOT NULL,
    employer_id UUID NOT NULL,
    enrolment_id UUID NOT NULL,
    person_no INTEGER NOT NULL,
    nc_year TEXT NOT NULL CONSTRAINT ck_participations_nc_year_known CHECK (nc_year IN ('E1', 'E2', 'N1', 'N2', 'R', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', 'X')),
    state TEXT DEFAULT 'named' NOT NULL CONSTRAINT ck_participations_state_known CHECK (state IN ('named', 'withdrawn', 'attended', 'absent')),
    criteria_confirmed TEXT[] DEFAULT '{}' NOT NULL,
    criteria_confirmed_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_participations PRIMARY KEY (id),
    CONSTRAINT uq_participations_pupil UNIQUE (booking_id, enrolment_id),
    CONSTRAINT fk_participations_booking_id FOREIGN KEY(booking_id) REFERENCES bookings (id),
    CONSTRAINT fk_participations_slot_id FOREIGN KEY(slot_id) REFERENCES slots (id),
    CONSTRAINT fk_participations_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_participations_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id),
    CONSTRAINT fk_participations_enrolment_id FOREIGN KEY(enrolment_id) REFERENCES enrolments (id)
);

CREATE INDEX ix_participations_employer_id ON participations (employer_id, id);
CREATE INDEX ix_participations_enrolment_id ON participations (enrolment_id);
CREATE INDEX ix_participations_school_id ON participations (school_id, id);

CREATE TABLE encounter_keys (
    participation_id UUID NOT NULL,
    school_id UUID NOT NULL,
    encounter_id UUID NOT NULL,
    academic_year INTEGER NOT NULL,
    CONSTRAINT pk_encounter_keys PRIMARY KEY (participation_id),
    CONSTRAINT fk_encounter_keys_participation_id FOREIGN KEY(participation_id) REFERENCES participations (id),
    CONSTRAINT fk_encounter_keys_school_id FOREIGN KEY(school_id) REFERENCES organisations (id)
);

CREATE TABLE participation_sittings (
    id UUID NOT NULL,
    participation_id UUID NOT NULL,
    booking_id UUID NOT NULL,
    sitting_id UUID NOT NULL,
    school_id UUID NOT NULL,
    employer_id UUID NOT NULL,
    person_no INTEGER NOT NULL,
    during TSTZRANGE NOT NULL,
    active BOOLEAN DEFAULT 'true' NOT NULL,
    break_minutes INTEGER DEFAULT '0' NOT NULL CONSTRAINT ck_participation_sittings_break_minutes_least CHECK (break_minutes >= 0),
    virtual BOOLEAN DEFAULT 'false' NOT NULL,
    status TEXT DEFAULT 'expected' NOT NULL CONSTRAINT ck_participation_sittings_status_known CHECK (status IN ('expected', 'arrived', 'present', 'late', 'left_early', 'no_show', 'excused', 'closed')),
    arrived_at TIMESTAMP WITH TIME ZONE,
    left_at TIMESTAMP WITH TIME ZONE,
    minutes INTEGER CONSTRAINT ck_participation_sittings_minutes_least CHECK (minutes >= 0),
    disputed BOOLEAN DEFAULT 'false' NOT NULL,
    version INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_participation_sittings PRIMARY KEY (id),
    CONSTRAINT ex_participation_sittings_one_place EXCLUDE USING gist (int4range(person_no, person_no, '[]') WITH &&, during WITH &&) WHERE (active),
    CONSTRAINT uq_participation_sittings_sitting UNIQUE (participation_id, sitting_id),
    CONSTRAINT fk_participation_sittings_participation_id FOREIGN KEY(participation_id) REFERENCES participations (id),
    CONSTRAINT fk_participation_sittings_booking_id FOREIGN KEY(booking_id) REFERENCES bookings (id),
    CONSTRAINT fk_participation_sittings_sitting_id FOREIGN KEY(sitting_id) REFERENCES sittings (id),
    CONSTRAINT fk_participation_sittings_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_participation_sittings_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id)
);

CREATE INDEX ix_participation_sittings_booking_id ON participation_sittings (booking_id);
CREATE INDEX ix_participation_sittings_employer_id ON participation_sittings (employer_id);
CREATE INDEX ix_participation_sittings_school_id ON participation_sittings (school_id);
CREATE INDEX ix_participation_sittings_sitting_id ON participation_sittings (sitting_id);

CREATE TABLE attendance_reports (
    id UUID NOT NULL,
    participation_sitting_id UUID NOT NULL,
    booking_id UUID NOT NULL,
    school_id UUID NOT NULL,
    employer_id UUID NOT NULL,
    reporter TEXT NOT NULL CONSTRAINT ck_attendance_reports_reporter_known CHECK (reporter IN ('employer', 'school')),
    client_id UUID NOT NULL,
    status TEXT NOT NULL CONSTRAINT ck_attendance_reports_status_known CHECK (status IN ('expected', 'arrived', 'present', 'late', 'left_early', 'no_show', 'excused', 'closed')),
    arrived_at TIMESTAMP WITH TIME ZONE,
    left_at TIMESTAMP WITH TIME ZONE,
    reported_at TIMESTAMP WITH TIME ZONE NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_attendance_reports PRIMARY KEY (id),
    CONSTRAINT fk_attendance_reports_participation_sitting_id FOREIGN KEY(participation_sitting_id) REFERENCES participation_sittings (id),
    CONSTRAINT fk_attendance_reports_booking_id FOREIGN KEY(booking_id) REFERENCES bookings (id),
    CONSTRAINT fk_attendance_reports_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_attendance_reports_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id)
);

CREATE INDEX ix_attendance_reports_booking_id ON attendance_reports (booking_id);
CREATE INDEX ix_attendance_reports_employer_id ON attendance_reports (employer_id);
CREATE INDEX ix_attendance_reports_school_id ON attendance_reports (school_id);
CREATE INDEX ix_attendance_reports_sitting ON attendance_reports (participation_sitting_id, id);

CREATE TABLE no_shows (
    id UUID NOT NULL,
    participation_sitting_id UUID NOT NULL,
    participation_id UUID NOT NULL,
    booking_id UUID NOT NULL,
    school_id UUID NOT NULL,
    employer_id UUID NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
    opened_by TEXT NOT NULL CONSTRAINT ck_no_shows_opened_by_known CHECK (opened_by IN ('employer', 'school')),
    resolution TEXT CONSTRAINT ck_no_shows_resolution_known CHECK (resolution IN ('in_school', 'known_absence', 'located', 'escalated')),
    resolved_at TIMESTAMP WITH TIME ZONE,
    resolved_by UUID,
    note TEXT CONSTRAINT ck_no_shows_note_length CHECK (length(note) <= 2000),
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_no_shows PRIMARY KEY (id),
    CONSTRAINT fk_no_shows_participation_sitting_id FOREIGN KEY(participation_sitting_id) REFERENCES participation_sittings (id),
    CONSTRAINT fk_no_shows_participation_id FOREIGN KEY(participation_id) REFERENCES participations (id),
    CONSTRAINT fk_no_shows_booking_id FOREIGN KEY(booking_id) REFERENCES bookings (id),
    CONSTRAINT fk_no_shows_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_no_shows_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id)
);

CREATE INDEX ix_no_shows_booking_id ON no_shows (booking_id);
CREATE INDEX ix_no_shows_employer_id ON no_shows (employer_id);
CREATE INDEX ix_no_shows_school_id ON no_shows (school_id, id);
CREATE UNIQUE INDEX uq_no_shows_open ON no_shows (participation_sitting_id) WHERE resolution IS NULL;

-- FUNCTIONS that are let past row security: each asks for as little as it needs and checks whom it answers.

CREATE FUNCTION app.domain_now() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT now() + make_interval(secs => (SELECT offset_seconds FROM clock))
$$;

CREATE FUNCTION app.today() RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT (app.domain_now() AT TIME ZONE 'Europe/London')::date
$$;

-- The controller of a school's data on a date: its trust, else the school itself.
CREATE FUNCTION app.trust_of(p_school uuid, p_on date) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT parent_id FROM memberships
   WHERE member_id = p_school AND kind = 'trust' AND starts_on <= p_on AND (ends_on IS NULL OR ends_on > p_on)
$$;

CREATE FUNCTION app.hub_of(p_school uuid, p_on date) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT parent_id FROM memberships
   WHERE member_id = p_school AND kind = 'hub' AND starts_on <= p_on AND (ends_on IS NULL OR ends_on > p_on)
$$;

CREATE FUNCTION app.members_of(p_parent uuid, p_kind text, p_on date) RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce(array_agg(member_id), '{}') FROM memberships
   WHERE parent_id = p_parent AND kind = p_kind AND starts_on <= p_on AND (ends_on IS NULL OR ends_on > p_on)
$$;

-- The schools whose named pupils an organisation may reach today: its own, its academies, or those that granted it
-- (p_writing: for more than reading).
CREATE FUNCTION app.schools_of(p_org uuid, p_writing boolean DEFAULT false) RETURNS uuid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_kind text; v_today date := app.today(); v uuid[];
BEGIN
  SELECT kind INTO v_kind FROM organisations WHERE id = p_org AND status = 'active';
  IF v_kind = 'school' THEN RETURN ARRAY[p_org]; END IF;
  IF v_kind = 'trust' THEN RETURN app.members_of(p_org, 'trust', v_today); END IF;
  IF v_kind <> 'vendor' THEN RETURN '{}'; END IF;
  SELECT coalesce(array_agg(DISTINCT s), '{}') INTO v FROM (
    SELECT g.school_id AS s FROM grants g
     WHERE g.grantee_id = p_org AND g.revoked_at IS NULL AND (g.write OR NOT p_writing) AND g.starts_on <= v_today AND g.school_id IS NOT NULL
       AND (g.grantor_id = g.school_id OR g.grantor_id = app.trust_of(g.school_id, v_today))
    UNION ALL
    SELECT m.member_id FROM grants g
      JOIN memberships m ON m.parent_id = g.grantor_id AND m.kind = 'trust'
       AND m.starts_on <= v_today AND (m.ends_on IS NULL OR m.ends_on > v_today)
     WHERE g.grantee_id = p_org AND g.revoked_at IS NULL AND (g.write OR NOT p_writing) AND g.starts_on <= v_today AND g.school_id IS NULL
       AND NOT m.member_id = ANY (g.except_school_ids)
    UNION ALL
    SELECT g.grantor_id FROM grants g JOIN organisations o ON o.id = g.grantor_id AND o.kind = 'school'
     WHERE g.grantee_id = p_org AND g.revoked_at IS NULL AND (g.write OR NOT p_writing) AND g.starts_on <= v_today AND g.school_id IS NULL
  ) x;
  RETURN v;
END $$;

-- The field groups of a school's pupils that an organisation may see and send; NULL means all (its own data).
CREATE FUNCTION app.field_groups_of(p_org uuid, p_school uuid) RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_today date := app.today(); v_trust uuid := app.trust_of(p_school, v_today); v text[];
BEGIN
  IF p_org = p_school OR p_org = v_trust THEN RETURN NULL; END IF;
  SELECT coalesce(array_agg(DISTINCT f), '{}') INTO v FROM grants g, unnest(g.field_groups) f
   WHERE g.grantee_id = p_org AND g.revoked_at IS NULL AND g.starts_on <= v_today
     AND (g.grantor_id = p_school OR g.grantor_id = v_trust)
     AND (g.school_id IS NULL OR g.school_id = p_school) AND NOT p_school = ANY (g.except_school_ids);
  RETURN v;
END $$;

-- Enter a transaction: set who is asking and refuse a client, an organisation, a token or a grant no longer alive.
-- Answers the domain time. With p_school the caller sees that school alone.
CREATE FUNCTION app.enter(p_client uuid, p_school uuid, p_token uuid) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_org uuid; v_kind text; v_schools uuid[]; v_writes uuid[];
BEGIN
  SELECT c.org_id, o.kind INTO v_org, v_kind
    FROM clients c JOIN organisations o ON o.id = c.org_id
   WHERE c.id = p_client AND c.revoked_at IS NULL AND o.status = 'active'
     AND (p_token IS NULL OR NOT EXISTS (SELECT 1 FROM revoked_tokens r WHERE r.jti = p_token::text));
  IF NOT FOUND THEN
    RAISE EXCEPTION 'This client or token has been revoked.' USING ERRCODE = 'TD401';
  END IF;
  v_schools := CASE v_kind WHEN 'school' THEN ARRAY[v_org] WHEN 'trust' THEN app.schools_of(v_org)
                           WHEN 'vendor' THEN app.schools_of(v_org) ELSE '{}'::uuid[] END;
  v_writes := v_schools;
  IF v_kind = 'vendor' AND EXISTS (SELECT 1 FROM grants WHERE grantee_id = v_org AND NOT write) THEN
    v_writes := app.schools_of(v_org, true);
  END IF;
  IF p_school IS NOT NULL THEN
    IF NOT p_school = ANY (v_schools) THEN
      RAISE EXCEPTION 'school' USING ERRCODE = 'TD404';
    END IF;
    v_schools := ARRAY[p_school];
    v_writes := CASE WHEN p_school = ANY (v_writes) THEN v_schools ELSE '{}' END;
  END IF;
  PERFORM set_config('app.client', p_client::text, true), set_config('app.org', v_org::text, true),
          set_config('app.kind', v_kind, true), set_config('app.schools', v_schools::text, true),
          set_config('app.writes', v_writes::text, true);
  RETURN app.domain_now();
END $$;

-- The worker's own way in. It belongs to no organisation; its policies say what it may touch.
CREATE FUNCTION app.enter_system() RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM set_config('app.client', '00000000-0000-0000-0000-000000000000', true),
          set_config('app.org', '00000000-0000-0000-0000-000000000000', true),
          set_config('app.kind', 'system', true), set_config('app.schools', '{}', true),
          set_config('app.writes', '{}', true);
  RETURN app.domain_now();
END $$;

-- Before a caller is known: what a token request is checked against.
CREATE FUNCTION app.client_for_token(p_client uuid)
RETURNS TABLE (org_id uuid, org_kind text, scopes text[], jwks jsonb, secret_hashes bytea[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT c.org_id, o.kind, c.scopes, c.jwks,
         coalesce((SELECT array_agg(s.secret_hash) FROM client_secrets s WHERE s.client_id = c.id
                     AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())), '{}')
    FROM clients c JOIN organisations o ON o.id = c.org_id
   WHERE c.id = p_client AND c.revoked_at IS NULL AND o.status = 'active'
$$;

-- A private_key_jwt assertion is good for one use: true the first time only.
CREATE FUNCTION app.use_assertion(p_client uuid, p_jti text, p_expires timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  INSERT INTO assertion_ids (client_id, jti, expires_at) VALUES (p_client, p_jti, p_expires) ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;

CREATE FUNCTION app.revoke_token(p_client uuid, p_jti text, p_expires timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  INSERT INTO revoked_tokens (jti, client_id, expires_at) VALUES (p_jti, p_client, p_expires) ON CONFLICT DO NOTHING
$$;

-- Organisations a caller may know of beside its own and employers: those it belongs to or that belong to it,
-- grantors and grantees, and the other side of its bookings.
CREATE FUNCTION app.related_orgs() RETURNS uuid[]
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
  ) y
$$;

CREATE FUNCTION app.employers_booked() RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce(array_agg(DISTINCT employer_id), '{}') FROM bookings
   WHERE school_id = ANY (app.schools()) AND state IN ('confirmed', 'on_hold', 'completed')
$$;

CREATE FUNCTION app.programmes_joined() RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce(array_agg(DISTINCT programme_id), '{}') FROM programme_schools
   WHERE school_id = ANY (app.schools()) AND state <> 'left'
$$;

-- Restricted offers that the caller's schools (or a hub, for its own) are shown.
CREATE FUNCTION app.offers_shown() RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce(array_agg(DISTINCT offer_id), '{}') FROM offer_audiences
   WHERE audience_id = app.org() OR audience_id = ANY (app.schools()) OR audience_id = ANY (app.programmes_joined())
      OR audience_id IN (SELECT parent_id FROM memberships
                          WHERE member_id = ANY (app.schools()) AND kind = 'hub'
                            AND starts_on <= app.today() AND (ends_on IS NULL OR ends_on > app.today()))
$$;

-- A suspension binds the schools of the hub or trust that made it. Nobody else learns who suspended, or why.
CREATE FUNCTION app.is_suspended(p_employer uuid, p_school uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT EXISTS (SELECT 1 FROM suspensions s WHERE s.employer_id = p_employer AND s.lifted_at IS NULL
                    AND (s.suspended_by = app.hub_of(p_school, app.today())
                      OR s.suspended_by = app.trust_of(p_school, app.today())
                      OR EXISTS (SELECT 1 FROM organisations o WHERE o.id = s.suspended_by AND o.kind = 'national')))
$$;

CREATE FUNCTION app.suspended_employers() RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce(array_agg(DISTINCT s.employer_id), '{}') FROM suspensions s
   WHERE s.lifted_at IS NULL
     AND (s.suspended_by = app.org()
       OR EXISTS (SELECT 1 FROM unnest(app.schools()) school WHERE app.is_suspended(s.employer_id, school)))
$$;

-- Places. The conditional UPDATE is what keeps 200 requests for 20 places honest; the rules have been asked before.
CREATE FUNCTION app.take_places(p_slot uuid, p_school uuid, p_places integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  IF p_school = ANY (app.schools()) AND NOT p_school = ANY (app.writes()) THEN
    RAISE EXCEPTION 'The grant you hold is for reading only.' USING ERRCODE = 'TD403';
  END IF;
  IF NOT (p_school = ANY (app.writes()) OR app.kind() = 'system'
          OR EXISTS (SELECT 1 FROM slots WHERE id = p_slot AND employer_id = app.org())) THEN
    RAISE EXCEPTION 'school' USING ERRCODE = 'TD404';
  END IF;
  UPDATE slots SET taken = taken + p_places
   WHERE id = p_slot AND state = 'open' AND taken + p_places <= capacity;
  RETURN FOUND;
END $$;

CREATE FUNCTION app.give_places(p_booking uuid, p_places integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  UPDATE slots s SET taken = s.taken - p_places FROM bookings b
   WHERE b.id = p_booking AND s.id = b.slot_id
     AND (b.school_id = ANY (app.writes()) OR b.employer_id = app.org() OR app.kind() = 'system');
  IF NOT FOUND THEN
    RAISE EXCEPTION 'booking' USING ERRCODE = 'TD404';
  END IF;
END $$;

-- The employer's report changes the school's own records (encounters, ledger): for the rest of this transaction
-- the caller acts on both sides of one booking of its own. Nothing of the school's is answered by it.
CREATE FUNCTION app.act_on_booking(p_booking uuid) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_school uuid;
BEGIN
  SELECT school_id INTO v_school FROM bookings
   WHERE id = p_booking AND (school_id = ANY (app.writes()) OR employer_id = app.org());
  IF NOT FOUND THEN
    RAISE EXCEPTION 'booking' USING ERRCODE = 'TD404';
  END IF;
  PERFORM set_config('app.schools', ARRAY[v_school]::text, true),
          set_config('app.writes', ARRAY[v_school]::text, true);
  RETURN v_school;
END $$;

-- Who is coming: names leave the school's tenant only here, for a booking that stands, and each is written down.
CREATE FUNCTION app.release_participants(p_booking uuid, p_ids uuid[], p_route text)
RETURNS TABLE (participation_id uuid, known_as text, family_initial text, access_needs text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_school uuid;
BEGIN
  SELECT b.school_id INTO v_school FROM bookings b
   WHERE b.id = p_booking AND b.employer_id = app.org() AND b.state IN ('confirmed', 'completed');
  IF NOT FOUND THEN
    RAISE EXCEPTION 'booking' USING ERRCODE = 'TD404';
  END IF;
  RETURN QUERY
  WITH named AS (
    SELECT p.id AS pid, p.enrolment_id, e.known_as AS nick, e.given_name, e.family_name, e.access_needs AS needs,
           row_number() OVER (ORDER BY p.id) AS n
      FROM participations p JOIN enrolments e ON e.id = p.enrolment_id
     WHERE p.booking_id = p_booking AND p.state <> 'withdrawn'
  ), written AS (
    INSERT INTO disclosures (id, school_id, enrolment_id, to_org_id, client_id, fields, basis, basis_id, route)
    SELECT p_ids[n], v_school, enrolment_id, app.org(), app.caller(),
           CASE WHEN needs IS NULL THEN ARRAY['known_as', 'family_initial']
                ELSE ARRAY['known_as', 'family_initial', 'access_needs'] END,
           'release', p_booking, p_route
      FROM named
  )
  SELECT pid, coalesce(nick, given_name), left(family_name, 1), needs FROM named ORDER BY pid;
END $$;

-- A person by the keyed hash of a UPN: the natural upsert fails under row security. A protected identity never links.
-- `elsewhere` is true when another school holds an active main enrolment: the new one is then only claimed.
CREATE FUNCTION app.person_for(p_id uuid, p_upn_hash bytea, p_protected boolean, p_school uuid)
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
      RETURN QUERY SELECT v_id, v_no, EXISTS (
        SELECT 1 FROM enrolments e WHERE e.person_id = v_id AND e.school_id <> p_school
           AND e.kind = 'main' AND e.state = 'active');
      RETURN;
    END IF;
  END IF;
  INSERT INTO persons (id, identity_protected) VALUES (p_id, p_protected) RETURNING id, no INTO v_id, v_no;
  RETURN QUERY SELECT v_id, v_no, false;
END $$;

-- Events. Written in the transaction of the change, while the row lock of what changed is held, so that `sequence`
-- within an order key follows the order of commits. Input: [{id, type, audience, audience_id, order_key, lane,
-- head, tail, occurred_at}]; the bytes sent are head || sequence || tail.
CREATE FUNCTION app.emit(p_events jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM app.caller();
  WITH given AS (
    SELECT n, (e->>'id')::uuid AS id, e->>'type' AS type, e->>'audience' AS audience,
           (e->>'audience_id')::uuid AS audience_id, (e->>'order_key')::uuid AS order_key, e->>'lane' AS lane,
           e->>'head' AS head, e->>'tail' AS tail, (e->>'occurred_at')::timestamptz AS occurred_at
      FROM jsonb_array_elements(p_events) WITH ORDINALITY x (e, n)
  ), counted AS (
    SELECT order_key, audience_id, count(*)::integer AS more FROM given GROUP BY 1, 2
  ), moved AS (
    INSERT INTO order_keys AS k (order_key, audience_id, last)
    SELECT order_key, audience_id, more FROM counted ORDER BY 1, 2
    ON CONFLICT (order_key, audience_id) DO UPDATE SET last = k.last + EXCLUDED.last
    RETURNING k.order_key, k.audience_id, k.last
  ), numbered AS (
    SELECT g.*, m.last - c.more + row_number() OVER (PARTITION BY g.order_key, g.audience_id ORDER BY g.n) AS sequence
      FROM given g JOIN moved m USING (order_key, audience_id) JOIN counted c USING (order_key, audience_id)
  )
  INSERT INTO events (id, type, audience, audience_id, order_key, sequence, lane, body, occurred_at)
  SELECT id, type, audience, audience_id, order_key, sequence, lane, convert_to(head || sequence || tail, 'UTF8'),
         occurred_at
    FROM numbered ORDER BY n;
  PERFORM pg_notify('tendays_outbox', '');
END $$;

-- Number committed events in the order of writing, under one lock for the whole cluster. Answers the last position,
-- or NULL if another sequencer is at it.
CREATE FUNCTION app.number_events(p_most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_last bigint; v_more bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(7310001) THEN RETURN NULL; END IF;
  SELECT last INTO v_last FROM sequencer FOR UPDATE;
  WITH todo AS (
    SELECT id, row_number() OVER (ORDER BY seq) AS n
      FROM (SELECT id, seq FROM events WHERE position IS NULL ORDER BY seq LIMIT p_most) u
  ), done AS (
    UPDATE events e SET position = v_last + t.n, positioned_at = clock_timestamp() FROM todo t WHERE e.id = t.id
    RETURNING 1
  ) SELECT count(*) INTO v_more FROM done;
  IF v_more > 0 THEN
    UPDATE sequencer SET last = v_last + v_more;
    PERFORM pg_notify('tendays_feed', '');
  END IF;
  RETURN v_last + v_more;
END $$;

-- The right to see, asked at each attempt: is this audience the organisation itself or a school it still acts for?
CREATE FUNCTION app.may_see(p_org uuid, p_audience uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT p_org = p_audience OR p_audience = ANY (app.schools_of(p_org))
$$;

-- What every school searches follows the slots by itself.
CREATE FUNCTION app.show_slot(p_slot uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  DELETE FROM open_slots WHERE slot_id = p_slot;
  INSERT INTO open_slots (slot_id, offer_id, employer_id, site_id, restricted, employer_name, size_band, site_name, town,
         postcode_area, title, kind, mode, grouping, tier, sector, activity_band, skills, year_groups, year_mask,
         criteria, starts_at, ends_at, minutes, book_by, capacity, places_left)
  SELECT s.id, o.id, s.employer_id, s.site_id, o.restricted, org.name, e.size_band, site.name, site.town,
         split_part(site.postcode, ' ', 1), o.title, o.kind, o.mode, o.grouping, o.tier, o.sector, o.activity_band,
         o.skills, o.year_groups, o.year_mask, o.criteria, s.starts_at, s.ends_at, s.minutes, s.book_by, s.capacity,
         s.capacity - s.taken
    FROM slots s JOIN offers o ON o.id = s.offer_id JOIN employers e ON e.id = s.employer_id
    JOIN organisations org ON org.id = s.employer_id JOIN sites site ON site.id = s.site_id
   WHERE s.id = p_slot AND s.state = 'open' AND o.state = 'open' AND site.state = 'open' AND org.status = 'active';
END $$;

CREATE FUNCTION app.slot_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - 'taken' = to_jsonb(OLD) - 'taken' THEN
    UPDATE open_slots SET places_left = NEW.capacity - NEW.taken WHERE slot_id = NEW.id;
  ELSE
    PERFORM app.show_slot(NEW.id);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER slots_shown AFTER INSERT OR UPDATE ON slots FOR EACH ROW EXECUTE FUNCTION app.slot_changed();

CREATE FUNCTION app.offer_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  UPDATE slots SET restricted = NEW.restricted WHERE offer_id = NEW.id AND restricted <> NEW.restricted;
  PERFORM app.show_slot(id) FROM slots WHERE offer_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER offers_shown AFTER UPDATE ON offers FOR EACH ROW EXECUTE FUNCTION app.offer_changed();

CREATE FUNCTION app.site_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM app.show_slot(id) FROM slots WHERE site_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER sites_shown AFTER UPDATE OF name, town, postcode, state ON sites
  FOR EACH ROW EXECUTE FUNCTION app.site_changed();

-- Whose a row is never changes: a policy that passes on one party's id cannot see the other's being rewritten.
CREATE FUNCTION app.parties_stay() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'row-level security: the parties of % never change', TG_TABLE_NAME USING ERRCODE = '42501';
END $$;
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['bookings', 'participations', 'participation_sittings', 'no_shows'] LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OF school_id, employer_id ON %I FOR EACH ROW'
      ' WHEN (OLD.school_id <> NEW.school_id OR OLD.employer_id <> NEW.employer_id)'
      ' EXECUTE FUNCTION app.parties_stay()', t || '_parties_stay', t);
  END LOOP;
END $$;

-- Partitions. Months for what is keyed by UUIDv7, academic years for encounters and ledger; three ahead are kept.
CREATE FUNCTION app.keep_partitions() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE v_made integer := 0; v_from timestamptz; v_year integer; v_name text; t text; i integer;
BEGIN
  PERFORM pg_advisory_xact_lock(7310002);
  FOREACH t IN ARRAY ARRAY['events', 'deliveries', 'attempts'] LOOP
    FOR i IN 0..3 LOOP
      v_from := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(months => i);
      v_name := t || '_' || to_char(v_from AT TIME ZONE 'UTC', 'YYYYMM');
      IF to_regclass('public.' || v_name) IS NULL THEN
        EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)', v_name, t,
          app.uuid7_floor(v_from), app.uuid7_floor(v_from + interval '1 month'));
        v_made := v_made + 1;
      END IF;
    END LOOP;
  END LOOP;
  FOREACH t IN ARRAY ARRAY['encounters', 'ledger_entries'] LOOP
    FOR v_year IN 2015..extract(year FROM now())::integer + 3 LOOP
      v_name := t || '_' || v_year;
      IF to_regclass('public.' || v_name) IS NULL THEN
        EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%s) TO (%s)', v_name, t,
          v_year, v_year + 1);
        v_made := v_made + 1;
      END IF;
    END LOOP;
  END LOOP;
  RETURN v_made;
END $$;

-- ROW SECURITY: the lock. Every table is closed to everybody, then opened to whom it belongs.
-- The owner has a policy too, or our own backfills would silently change nothing under FORCE.

ALTER TABLE attempts ENABLE ROW LEVEL SECURITY;
ALTER TABLE attempts FORCE ROW LEVEL SECURITY;
CREATE POLICY attempts_owner ON attempts TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY attempts_read ON attempts FOR SELECT TO tendays_app USING (org_id = (SELECT app.org()));
GRANT SELECT ON attempts TO tendays_app;
CREATE POLICY attempts_worker ON attempts TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON attempts TO tendays_worker;

ALTER TABLE clock ENABLE ROW LEVEL SECURITY;
ALTER TABLE clock FORCE ROW LEVEL SECURITY;
CREATE POLICY clock_owner ON clock TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY clock_read ON clock FOR SELECT TO tendays_app USING (true);
GRANT SELECT ON clock TO tendays_app;
CREATE POLICY clock_worker ON clock TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON clock TO tendays_worker;

ALTER TABLE dated_policies ENABLE ROW LEVEL SECURITY;
ALTER TABLE dated_policies FORCE ROW LEVEL SECURITY;
CREATE POLICY dated_policies_owner ON dated_policies TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY dated_policies_read ON dated_policies FOR SELECT TO tendays_app USING (true);
GRANT SELECT ON dated_policies TO tendays_app;
CREATE POLICY dated_policies_worker ON dated_policies TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON dated_policies TO tendays_worker;

ALTER TABLE deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE deliveries FORCE ROW LEVEL SECURITY;
CREATE POLICY deliveries_owner ON deliveries TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY deliveries_read ON deliveries FOR SELECT TO tendays_app USING (org_id = (SELECT app.org()));
GRANT SELECT, INSERT, UPDATE ON deliveries TO tendays_app;
CREATE POLICY deliveries_insert ON deliveries FOR INSERT TO tendays_app WITH CHECK (org_id = (SELECT app.org()));
CREATE POLICY deliveries_update ON deliveries FOR UPDATE TO tendays_app USING (org_id = (SELECT app.org())) WITH CHECK (org_id = (SELECT app.org()));
CREATE POLICY deliveries_worker ON deliveries TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON deliveries TO tendays_worker;

ALTER TABLE encounters ENABLE ROW LEVEL SECURITY;
ALTER TABLE encounters FORCE ROW LEVEL SECURITY;
CREATE POLICY encounters_owner ON encounters TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY encounters_read ON encounters FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON encounters TO tendays_app;
CREATE POLICY encounters_insert ON encounters FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY encounters_update ON encounters FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[])) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));

ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE events FORCE ROW LEVEL SECURITY;
CREATE POLICY events_owner ON events TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY events_read ON events FOR SELECT TO tendays_app USING (audience_id = (SELECT app.org()) OR audience_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT ON events TO tendays_app;
CREATE POLICY events_worker ON events TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON events TO tendays_worker;

ALTER TABLE fanout ENABLE ROW LEVEL SECURITY;
ALTER TABLE fanout FORCE ROW LEVEL SECURITY;
CREATE POLICY fanout_owner ON fanout TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY fanout_read ON fanout FOR SELECT TO tendays_app USING (true);
GRANT SELECT ON fanout TO tendays_app;
CREATE POLICY fanout_worker ON fanout TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON fanout TO tendays_worker;

ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY idempotency_keys_owner ON idempotency_keys TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY idempotency_keys_read ON idempotency_keys FOR SELECT TO tendays_app USING (client_id = (SELECT app.caller()));
GRANT SELECT, INSERT ON idempotency_keys TO tendays_app;
CREATE POLICY idempotency_keys_insert ON idempotency_keys FOR INSERT TO tendays_app WITH CHECK (client_id = (SELECT app.caller()));
CREATE POLICY idempotency_keys_worker ON idempotency_keys TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON idempotency_keys TO tendays_worker;

ALTER TABLE ledger_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY ledger_entries_owner ON ledger_entries TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY ledger_entries_read ON ledger_entries FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT ON ledger_entries TO tendays_app;
CREATE POLICY ledger_entries_insert ON ledger_entries FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));

ALTER TABLE order_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE order_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY order_keys_owner ON order_keys TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY order_keys_worker ON order_keys TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON order_keys TO tendays_worker;

ALTER TABLE organisations ENABLE ROW LEVEL SECURITY;
ALTER TABLE organisations FORCE ROW LEVEL SECURITY;
CREATE POLICY organisations_owner ON organisations TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY organisations_read ON organisations FOR SELECT TO tendays_app USING (id = (SELECT app.org()) OR id = ANY ((SELECT app.schools())::uuid[]) OR id = ANY ((SELECT app.related_orgs())::uuid[]) OR (kind = 'employer' AND (SELECT app.kind()) <> 'employer'));
GRANT SELECT, INSERT, UPDATE ON organisations TO tendays_app;
CREATE POLICY organisations_insert ON organisations FOR INSERT TO tendays_app WITH CHECK (id = (SELECT app.org()) OR registered_by = (SELECT app.org()) OR (SELECT app.kind()) = 'national');
CREATE POLICY organisations_update ON organisations FOR UPDATE TO tendays_app USING (id = (SELECT app.org()) OR registered_by = (SELECT app.org()) OR (SELECT app.kind()) = 'national') WITH CHECK (id = (SELECT app.org()) OR registered_by = (SELECT app.org()) OR (SELECT app.kind()) = 'national');
CREATE POLICY organisations_worker ON organisations TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON organisations TO tendays_worker;

ALTER TABLE persons ENABLE ROW LEVEL SECURITY;
ALTER TABLE persons FORCE ROW LEVEL SECURITY;
CREATE POLICY persons_owner ON persons TO tendays_owner USING (true) WITH CHECK (true);

ALTER TABLE sequencer ENABLE ROW LEVEL SECURITY;
ALTER TABLE sequencer FORCE ROW LEVEL SECURITY;
CREATE POLICY sequencer_owner ON sequencer TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY sequencer_read ON sequencer FOR SELECT TO tendays_app USING (true);
GRANT SELECT ON sequencer TO tendays_app;
CREATE POLICY sequencer_worker ON sequencer TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON sequencer TO tendays_worker;

ALTER TABLE signing_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE signing_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY signing_keys_owner ON signing_keys TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY signing_keys_read ON signing_keys FOR SELECT TO tendays_app USING (true);
GRANT SELECT, INSERT ON signing_keys TO tendays_app;
CREATE POLICY signing_keys_insert ON signing_keys FOR INSERT TO tendays_app WITH CHECK (true);
CREATE POLICY signing_keys_worker ON signing_keys TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON signing_keys TO tendays_worker;

ALTER TABLE agreements ENABLE ROW LEVEL SECURITY;
ALTER TABLE agreements FORCE ROW LEVEL SECURITY;
CREATE POLICY agreements_owner ON agreements TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY agreements_read ON agreements FOR SELECT TO tendays_app USING (controller_id = (SELECT app.org()) OR controller_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON agreements TO tendays_app;
CREATE POLICY agreements_insert ON agreements FOR INSERT TO tendays_app WITH CHECK (controller_id = (SELECT app.org()));
CREATE POLICY agreements_update ON agreements FOR UPDATE TO tendays_app USING (controller_id = (SELECT app.org())) WITH CHECK (controller_id = (SELECT app.org()));
CREATE POLICY agreements_worker ON agreements TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON agreements TO tendays_worker;

ALTER TABLE approval_acceptances ENABLE ROW LEVEL SECURITY;
ALTER TABLE approval_acceptances FORCE ROW LEVEL SECURITY;
CREATE POLICY approval_acceptances_owner ON approval_acceptances TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY approval_acceptances_read ON approval_acceptances FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, DELETE ON approval_acceptances TO tendays_app;
CREATE POLICY approval_acceptances_worker ON approval_acceptances TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON approval_acceptances TO tendays_worker;
CREATE POLICY approval_acceptances_insert ON approval_acceptances FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY approval_acceptances_delete ON approval_acceptances FOR DELETE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[]));

ALTER TABLE clients ENABLE ROW LEVEL SECURITY;
ALTER TABLE clients FORCE ROW LEVEL SECURITY;
CREATE POLICY clients_owner ON clients TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY clients_read ON clients FOR SELECT TO tendays_app USING (org_id = (SELECT app.org()));
GRANT SELECT, INSERT, UPDATE ON clients TO tendays_app;
CREATE POLICY clients_insert ON clients FOR INSERT TO tendays_app WITH CHECK (org_id = (SELECT app.org()));
CREATE POLICY clients_update ON clients FOR UPDATE TO tendays_app USING (org_id = (SELECT app.org())) WITH CHECK (org_id = (SELECT app.org()));
CREATE POLICY clients_worker ON clients TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON clients TO tendays_worker;

ALTER TABLE disclosures ENABLE ROW LEVEL SECURITY;
ALTER TABLE disclosures FORCE ROW LEVEL SECURITY;
CREATE POLICY disclosures_owner ON disclosures TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY disclosures_read ON disclosures FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT ON disclosures TO tendays_app;
CREATE POLICY disclosures_insert ON disclosures FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.schools())::uuid[]));

ALTER TABLE employers ENABLE ROW LEVEL SECURITY;
ALTER TABLE employers FORCE ROW LEVEL SECURITY;
CREATE POLICY employers_owner ON employers TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY employers_read ON employers FOR SELECT TO tendays_app USING (id = (SELECT app.org()) OR (SELECT app.kind()) <> 'employer');
GRANT SELECT, INSERT, UPDATE ON employers TO tendays_app;
CREATE POLICY employers_insert ON employers FOR INSERT TO tendays_app WITH CHECK (id = (SELECT app.org()) OR (SELECT app.kind()) IN ('hub', 'national'));
CREATE POLICY employers_update ON employers FOR UPDATE TO tendays_app USING (id = (SELECT app.org()) OR (SELECT app.kind()) IN ('hub', 'national')) WITH CHECK (id = (SELECT app.org()) OR (SELECT app.kind()) IN ('hub', 'national'));
CREATE POLICY employers_worker ON employers TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON employers TO tendays_worker;

ALTER TABLE encounter_refs ENABLE ROW LEVEL SECURITY;
ALTER TABLE encounter_refs FORCE ROW LEVEL SECURITY;
CREATE POLICY encounter_refs_owner ON encounter_refs TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY encounter_refs_read ON encounter_refs FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]) AND org_id = (SELECT app.org()));
GRANT SELECT, INSERT ON encounter_refs TO tendays_app;
CREATE POLICY encounter_refs_insert ON encounter_refs FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]) AND org_id = (SELECT app.org()));

ALTER TABLE encounter_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE encounter_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY encounter_versions_owner ON encounter_versions TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY encounter_versions_read ON encounter_versions FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT ON encounter_versions TO tendays_app;
CREATE POLICY encounter_versions_insert ON encounter_versions FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));

ALTER TABLE enrolments ENABLE ROW LEVEL SECURITY;
ALTER TABLE enrolments FORCE ROW LEVEL SECURITY;
CREATE POLICY enrolments_owner ON enrolments TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY enrolments_read ON enrolments FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON enrolments TO tendays_app;
CREATE POLICY enrolments_insert ON enrolments FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY enrolments_update ON enrolments FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[])) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));

ALTER TABLE grants ENABLE ROW LEVEL SECURITY;
ALTER TABLE grants FORCE ROW LEVEL SECURITY;
CREATE POLICY grants_owner ON grants TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY grants_read ON grants FOR SELECT TO tendays_app USING (grantor_id = (SELECT app.org()) OR grantee_id = (SELECT app.org()) OR grantor_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON grants TO tendays_app;
CREATE POLICY grants_insert ON grants FOR INSERT TO tendays_app WITH CHECK (grantor_id = (SELECT app.org()));
CREATE POLICY grants_update ON grants FOR UPDATE TO tendays_app USING (grantor_id = (SELECT app.org())) WITH CHECK (grantor_id = (SELECT app.org()));
CREATE POLICY grants_worker ON grants TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON grants TO tendays_worker;

ALTER TABLE memberships ENABLE ROW LEVEL SECURITY;
ALTER TABLE memberships FORCE ROW LEVEL SECURITY;
CREATE POLICY memberships_owner ON memberships TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY memberships_read ON memberships FOR SELECT TO tendays_app USING (member_id = (SELECT app.org()) OR parent_id = (SELECT app.org()) OR member_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON memberships TO tendays_app;
CREATE POLICY memberships_insert ON memberships FOR INSERT TO tendays_app WITH CHECK (parent_id = (SELECT app.org()) OR (SELECT app.kind()) = 'national');
CREATE POLICY memberships_update ON memberships FOR UPDATE TO tendays_app USING (parent_id = (SELECT app.org()) OR (SELECT app.kind()) = 'national') WITH CHECK (parent_id = (SELECT app.org()) OR (SELECT app.kind()) = 'national');
CREATE POLICY memberships_worker ON memberships TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON memberships TO tendays_worker;

ALTER TABLE programmes ENABLE ROW LEVEL SECURITY;
ALTER TABLE programmes FORCE ROW LEVEL SECURITY;
CREATE POLICY programmes_owner ON programmes TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY programmes_read ON programmes FOR SELECT TO tendays_app USING (owner_id = (SELECT app.org()) OR id = ANY ((SELECT app.programmes_joined())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON programmes TO tendays_app;
CREATE POLICY programmes_insert ON programmes FOR INSERT TO tendays_app WITH CHECK (owner_id = (SELECT app.org()));
CREATE POLICY programmes_update ON programmes FOR UPDATE TO tendays_app USING (owner_id = (SELECT app.org())) WITH CHECK (owner_id = (SELECT app.org()));
CREATE POLICY programmes_worker ON programmes TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON programmes TO tendays_worker;

ALTER TABLE school_states ENABLE ROW LEVEL SECURITY;
ALTER TABLE school_states FORCE ROW LEVEL SECURITY;
CREATE POLICY school_states_owner ON school_states TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY school_states_read ON school_states FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON school_states TO tendays_app;
CREATE POLICY school_states_insert ON school_states FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY school_states_update ON school_states FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[])) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY school_states_worker ON school_states TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON school_states TO tendays_worker;

ALTER TABLE summaries ENABLE ROW LEVEL SECURITY;
ALTER TABLE summaries FORCE ROW LEVEL SECURITY;
CREATE POLICY summaries_owner ON summaries TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY summaries_read ON summaries FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON summaries TO tendays_app;
CREATE POLICY summaries_insert ON summaries FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY summaries_update ON summaries FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[])) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));

ALTER TABLE webhook_endpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_endpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY webhook_endpoints_owner ON webhook_endpoints TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY webhook_endpoints_read ON webhook_endpoints FOR SELECT TO tendays_app USING (org_id = (SELECT app.org()));
GRANT SELECT, INSERT, UPDATE ON webhook_endpoints TO tendays_app;
CREATE POLICY webhook_endpoints_insert ON webhook_endpoints FOR INSERT TO tendays_app WITH CHECK (org_id = (SELECT app.org()));
CREATE POLICY webhook_endpoints_update ON webhook_endpoints FOR UPDATE TO tendays_app USING (org_id = (SELECT app.org())) WITH CHECK (org_id = (SELECT app.org()));
CREATE POLICY webhook_endpoints_worker ON webhook_endpoints TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON webhook_endpoints TO tendays_worker;

ALTER TABLE allocations ENABLE ROW LEVEL SECURITY;
ALTER TABLE allocations FORCE ROW LEVEL SECURITY;
CREATE POLICY allocations_owner ON allocations TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY allocations_read ON allocations FOR SELECT TO tendays_app USING (owner_id = (SELECT app.org()) OR school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON allocations TO tendays_app;
CREATE POLICY allocations_insert ON allocations FOR INSERT TO tendays_app WITH CHECK (owner_id = (SELECT app.org()));
CREATE POLICY allocations_update ON allocations FOR UPDATE TO tendays_app USING (owner_id = (SELECT app.org())) WITH CHECK (owner_id = (SELECT app.org()));

ALTER TABLE assertion_ids ENABLE ROW LEVEL SECURITY;
ALTER TABLE assertion_ids FORCE ROW LEVEL SECURITY;
CREATE POLICY assertion_ids_owner ON assertion_ids TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY assertion_ids_worker ON assertion_ids TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON assertion_ids TO tendays_worker;

ALTER TABLE balances ENABLE ROW LEVEL SECURITY;
ALTER TABLE balances FORCE ROW LEVEL SECURITY;
CREATE POLICY balances_owner ON balances TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY balances_read ON balances FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON balances TO tendays_app;
CREATE POLICY balances_insert ON balances FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY balances_update ON balances FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[])) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));

ALTER TABLE characteristics ENABLE ROW LEVEL SECURITY;
ALTER TABLE characteristics FORCE ROW LEVEL SECURITY;
CREATE POLICY characteristics_owner ON characteristics TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY characteristics_read ON characteristics FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON characteristics TO tendays_app;
CREATE POLICY characteristics_insert ON characteristics FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY characteristics_update ON characteristics FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[])) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));

ALTER TABLE client_secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE client_secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY client_secrets_owner ON client_secrets TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY client_secrets_read ON client_secrets FOR SELECT TO tendays_app USING (client_id IN (SELECT id FROM clients));
GRANT SELECT, INSERT, UPDATE ON client_secrets TO tendays_app;
CREATE POLICY client_secrets_insert ON client_secrets FOR INSERT TO tendays_app WITH CHECK (client_id IN (SELECT id FROM clients));
CREATE POLICY client_secrets_update ON client_secrets FOR UPDATE TO tendays_app USING (client_id IN (SELECT id FROM clients)) WITH CHECK (client_id IN (SELECT id FROM clients));

ALTER TABLE costs ENABLE ROW LEVEL SECURITY;
ALTER TABLE costs FORCE ROW LEVEL SECURITY;
CREATE POLICY costs_owner ON costs TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY costs_read ON costs FOR SELECT TO tendays_app USING (owner_id = (SELECT app.org()) OR school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON costs TO tendays_app;
CREATE POLICY costs_insert ON costs FOR INSERT TO tendays_app WITH CHECK (owner_id = (SELECT app.org()) OR school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY costs_update ON costs FOR UPDATE TO tendays_app USING (owner_id = (SELECT app.org()) OR school_id = ANY ((SELECT app.writes())::uuid[])) WITH CHECK (owner_id = (SELECT app.org()) OR school_id = ANY ((SELECT app.writes())::uuid[]));

ALTER TABLE nc_years ENABLE ROW LEVEL SECURITY;
ALTER TABLE nc_years FORCE ROW LEVEL SECURITY;
CREATE POLICY nc_years_owner ON nc_years TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY nc_years_read ON nc_years FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON nc_years TO tendays_app;
CREATE POLICY nc_years_insert ON nc_years FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY nc_years_update ON nc_years FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[])) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));

ALTER TABLE pupil_refs ENABLE ROW LEVEL SECURITY;
ALTER TABLE pupil_refs FORCE ROW LEVEL SECURITY;
CREATE POLICY pupil_refs_owner ON pupil_refs TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY pupil_refs_read ON pupil_refs FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]) AND org_id = (SELECT app.org()));
GRANT SELECT, INSERT, UPDATE, DELETE ON pupil_refs TO tendays_app;
CREATE POLICY pupil_refs_insert ON pupil_refs FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]) AND org_id = (SELECT app.org()));
CREATE POLICY pupil_refs_update ON pupil_refs FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[]) AND org_id = (SELECT app.org())) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]) AND org_id = (SELECT app.org()));
CREATE POLICY pupil_refs_delete ON pupil_refs FOR DELETE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[]) AND org_id = (SELECT app.org()));

ALTER TABLE revoked_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE revoked_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY revoked_tokens_owner ON revoked_tokens TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY revoked_tokens_read ON revoked_tokens FOR SELECT TO tendays_app USING (client_id = (SELECT app.caller()));
GRANT SELECT, INSERT ON revoked_tokens TO tendays_app;
CREATE POLICY revoked_tokens_insert ON revoked_tokens FOR INSERT TO tendays_app WITH CHECK (client_id = (SELECT app.caller()));
CREATE POLICY revoked_tokens_worker ON revoked_tokens TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON revoked_tokens TO tendays_worker;

ALTER TABLE sites ENABLE ROW LEVEL SECURITY;
ALTER TABLE sites FORCE ROW LEVEL SECURITY;
CREATE POLICY sites_owner ON sites TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY sites_read ON sites FOR SELECT TO tendays_app USING (employer_id = (SELECT app.org()) OR (SELECT app.kind()) <> 'employer');
GRANT SELECT, INSERT, UPDATE ON sites TO tendays_app;
CREATE POLICY sites_insert ON sites FOR INSERT TO tendays_app WITH CHECK (employer_id = (SELECT app.org()));
CREATE POLICY sites_update ON sites FOR UPDATE TO tendays_app USING (employer_id = (SELECT app.org())) WITH CHECK (employer_id = (SELECT app.org()));
CREATE POLICY sites_worker ON sites TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON sites TO tendays_worker;

ALTER TABLE strands ENABLE ROW LEVEL SECURITY;
ALTER TABLE strands FORCE ROW LEVEL SECURITY;
CREATE POLICY strands_owner ON strands TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY strands_read ON strands FOR SELECT TO tendays_app USING (owner_id = (SELECT app.org()) OR programme_id = ANY ((SELECT app.programmes_joined())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON strands TO tendays_app;
CREATE POLICY strands_insert ON strands FOR INSERT TO tendays_app WITH CHECK (owner_id = (SELECT app.org()));
CREATE POLICY strands_update ON strands FOR UPDATE TO tendays_app USING (owner_id = (SELECT app.org())) WITH CHECK (owner_id = (SELECT app.org()));
CREATE POLICY strands_worker ON strands TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON strands TO tendays_worker;

ALTER TABLE suspensions ENABLE ROW LEVEL SECURITY;
ALTER TABLE suspensions FORCE ROW LEVEL SECURITY;
CREATE POLICY suspensions_owner ON suspensions TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY suspensions_read ON suspensions FOR SELECT TO tendays_app USING (suspended_by = (SELECT app.org()));
GRANT SELECT, INSERT, UPDATE ON suspensions TO tendays_app;
CREATE POLICY suspensions_insert ON suspensions FOR INSERT TO tendays_app WITH CHECK (suspended_by = (SELECT app.org()));
CREATE POLICY suspensions_update ON suspensions FOR UPDATE TO tendays_app USING (suspended_by = (SELECT app.org())) WITH CHECK (suspended_by = (SELECT app.org()));
CREATE POLICY suspensions_worker ON suspensions TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON suspensions TO tendays_worker;

ALTER TABLE yearly_balances ENABLE ROW LEVEL SECURITY;
ALTER TABLE yearly_balances FORCE ROW LEVEL SECURITY;
CREATE POLICY yearly_balances_owner ON yearly_balances TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY yearly_balances_read ON yearly_balances FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON yearly_balances TO tendays_app;
CREATE POLICY yearly_balances_insert ON yearly_balances FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY yearly_balances_update ON yearly_balances FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[])) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));

ALTER TABLE approvals ENABLE ROW LEVEL SECURITY;
ALTER TABLE approvals FORCE ROW LEVEL SECURITY;
CREATE POLICY approvals_owner ON approvals TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY approvals_read ON approvals FOR SELECT TO tendays_app USING (approver_id = (SELECT app.org()) OR employer_id = (SELECT app.org()) OR (SELECT app.kind()) <> 'employer');
GRANT SELECT, INSERT, UPDATE ON approvals TO tendays_app;
CREATE POLICY approvals_insert ON approvals FOR INSERT TO tendays_app WITH CHECK (approver_id = (SELECT app.org()));
CREATE POLICY approvals_update ON approvals FOR UPDATE TO tendays_app USING (approver_id = (SELECT app.org())) WITH CHECK (approver_id = (SELECT app.org()));
CREATE POLICY approvals_worker ON approvals TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON approvals TO tendays_worker;

ALTER TABLE contacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE contacts FORCE ROW LEVEL SECURITY;
CREATE POLICY contacts_owner ON contacts TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY contacts_read ON contacts FOR SELECT TO tendays_app USING (employer_id = (SELECT app.org()) OR employer_id = ANY ((SELECT app.employers_booked())::uuid[]));
GRANT SELECT, INSERT, UPDATE, DELETE ON contacts TO tendays_app;
CREATE POLICY contacts_insert ON contacts FOR INSERT TO tendays_app WITH CHECK (employer_id = (SELECT app.org()));
CREATE POLICY contacts_update ON contacts FOR UPDATE TO tendays_app USING (employer_id = (SELECT app.org())) WITH CHECK (employer_id = (SELECT app.org()));
CREATE POLICY contacts_delete ON contacts FOR DELETE TO tendays_app USING (employer_id = (SELECT app.org()));

ALTER TABLE covers ENABLE ROW LEVEL SECURITY;
ALTER TABLE covers FORCE ROW LEVEL SECURITY;
CREATE POLICY covers_owner ON covers TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY covers_read ON covers FOR SELECT TO tendays_app USING (employer_id = (SELECT app.org()) OR (SELECT app.kind()) <> 'employer');
GRANT SELECT, INSERT, UPDATE ON covers TO tendays_app;
CREATE POLICY covers_insert ON covers FOR INSERT TO tendays_app WITH CHECK (employer_id = (SELECT app.org()));
CREATE POLICY covers_update ON covers FOR UPDATE TO tendays_app USING (employer_id = (SELECT app.org())) WITH CHECK (employer_id = (SELECT app.org()));
CREATE POLICY covers_worker ON covers TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON covers TO tendays_worker;

ALTER TABLE programme_schools ENABLE ROW LEVEL SECURITY;
ALTER TABLE programme_schools FORCE ROW LEVEL SECURITY;
CREATE POLICY programme_schools_owner ON programme_schools TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY programme_schools_read ON programme_schools FOR SELECT TO tendays_app USING (owner_id = (SELECT app.org()) OR school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON programme_schools TO tendays_app;
CREATE POLICY programme_schools_insert ON programme_schools FOR INSERT TO tendays_app WITH CHECK (owner_id = (SELECT app.org()));
CREATE POLICY programme_schools_update ON programme_schools FOR UPDATE TO tendays_app USING (owner_id = (SELECT app.org())) WITH CHECK (owner_id = (SELECT app.org()));
CREATE POLICY programme_schools_worker ON programme_schools TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON programme_schools TO tendays_worker;

ALTER TABLE site_bars ENABLE ROW LEVEL SECURITY;
ALTER TABLE site_bars FORCE ROW LEVEL SECURITY;
CREATE POLICY site_bars_owner ON site_bars TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY site_bars_read ON site_bars FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, DELETE ON site_bars TO tendays_app;
CREATE POLICY site_bars_insert ON site_bars FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY site_bars_delete ON site_bars FOR DELETE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[]));

ALTER TABLE targets ENABLE ROW LEVEL SECURITY;
ALTER TABLE targets FORCE ROW LEVEL SECURITY;
CREATE POLICY targets_owner ON targets TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY targets_read ON targets FOR SELECT TO tendays_app USING (owner_id = (SELECT app.org()));
GRANT SELECT, INSERT, UPDATE, DELETE ON targets TO tendays_app;
CREATE POLICY targets_insert ON targets FOR INSERT TO tendays_app WITH CHECK (owner_id = (SELECT app.org()));
CREATE POLICY targets_update ON targets FOR UPDATE TO tendays_app USING (owner_id = (SELECT app.org())) WITH CHECK (owner_id = (SELECT app.org()));
CREATE POLICY targets_delete ON targets FOR DELETE TO tendays_app USING (owner_id = (SELECT app.org()));

ALTER TABLE offers ENABLE ROW LEVEL SECURITY;
ALTER TABLE offers FORCE ROW LEVEL SECURITY;
CREATE POLICY offers_owner ON offers TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY offers_read ON offers FOR SELECT TO tendays_app USING (employer_id = (SELECT app.org()) OR ((SELECT app.kind()) <> 'employer' AND (NOT restricted OR id = ANY ((SELECT app.offers_shown())::uuid[]))));
GRANT SELECT, INSERT, UPDATE ON offers TO tendays_app;
CREATE POLICY offers_insert ON offers FOR INSERT TO tendays_app WITH CHECK (employer_id = (SELECT app.org()));
CREATE POLICY offers_update ON offers FOR UPDATE TO tendays_app USING (employer_id = (SELECT app.org())) WITH CHECK (employer_id = (SELECT app.org()));
CREATE POLICY offers_worker ON offers TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON offers TO tendays_worker;

ALTER TABLE offer_audiences ENABLE ROW LEVEL SECURITY;
ALTER TABLE offer_audiences FORCE ROW LEVEL SECURITY;
CREATE POLICY offer_audiences_owner ON offer_audiences TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY offer_audiences_read ON offer_audiences FOR SELECT TO tendays_app USING (employer_id = (SELECT app.org()));
GRANT SELECT, INSERT, DELETE ON offer_audiences TO tendays_app;
CREATE POLICY offer_audiences_insert ON offer_audiences FOR INSERT TO tendays_app WITH CHECK (employer_id = (SELECT app.org()));
CREATE POLICY offer_audiences_delete ON offer_audiences FOR DELETE TO tendays_app USING (employer_id = (SELECT app.org()));

ALTER TABLE slots ENABLE ROW LEVEL SECURITY;
ALTER TABLE slots FORCE ROW LEVEL SECURITY;
CREATE POLICY slots_owner ON slots TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY slots_read ON slots FOR SELECT TO tendays_app USING (employer_id = (SELECT app.org()) OR ((SELECT app.kind()) <> 'employer' AND (NOT restricted OR offer_id = ANY ((SELECT app.offers_shown())::uuid[]))));
GRANT SELECT, INSERT, UPDATE ON slots TO tendays_app;
CREATE POLICY slots_insert ON slots FOR INSERT TO tendays_app WITH CHECK (employer_id = (SELECT app.org()));
CREATE POLICY slots_update ON slots FOR UPDATE TO tendays_app USING (employer_id = (SELECT app.org())) WITH CHECK (employer_id = (SELECT app.org()));
CREATE POLICY slots_worker ON slots TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON slots TO tendays_worker;

ALTER TABLE bookings ENABLE ROW LEVEL SECURITY;
ALTER TABLE bookings FORCE ROW LEVEL SECURITY;
CREATE POLICY bookings_owner ON bookings TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY bookings_read ON bookings FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]) OR employer_id = (SELECT app.org()));
GRANT SELECT, INSERT, UPDATE ON bookings TO tendays_app;
CREATE POLICY bookings_insert ON bookings FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org()));
CREATE POLICY bookings_update ON bookings FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org())) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org()));
CREATE POLICY bookings_worker ON bookings TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON bookings TO tendays_worker;

ALTER TABLE open_slots ENABLE ROW LEVEL SECURITY;
ALTER TABLE open_slots FORCE ROW LEVEL SECURITY;
CREATE POLICY open_slots_owner ON open_slots TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY open_slots_read ON open_slots FOR SELECT TO tendays_app USING ((NOT restricted OR offer_id = ANY ((SELECT app.offers_shown())::uuid[])) AND NOT employer_id = ANY ((SELECT app.suspended_employers())::uuid[]));
GRANT SELECT ON open_slots TO tendays_app;
CREATE POLICY open_slots_worker ON open_slots TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON open_slots TO tendays_worker;

ALTER TABLE sittings ENABLE ROW LEVEL SECURITY;
ALTER TABLE sittings FORCE ROW LEVEL SECURITY;
CREATE POLICY sittings_owner ON sittings TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY sittings_read ON sittings FOR SELECT TO tendays_app USING (employer_id = (SELECT app.org()) OR slot_id IN (SELECT id FROM slots));
GRANT SELECT, INSERT, UPDATE, DELETE ON sittings TO tendays_app;
CREATE POLICY sittings_insert ON sittings FOR INSERT TO tendays_app WITH CHECK (employer_id = (SELECT app.org()));
CREATE POLICY sittings_update ON sittings FOR UPDATE TO tendays_app USING (employer_id = (SELECT app.org())) WITH CHECK (employer_id = (SELECT app.org()));
CREATE POLICY sittings_delete ON sittings FOR DELETE TO tendays_app USING (employer_id = (SELECT app.org()));
CREATE POLICY sittings_worker ON sittings TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON sittings TO tendays_worker;

ALTER TABLE booking_moves ENABLE ROW LEVEL SECURITY;
ALTER TABLE booking_moves FORCE ROW LEVEL SECURITY;
CREATE POLICY booking_moves_owner ON booking_moves TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY booking_moves_read ON booking_moves FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]) OR employer_id = (SELECT app.org()));
GRANT SELECT, INSERT ON booking_moves TO tendays_app;
CREATE POLICY booking_moves_insert ON booking_moves FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org()));
CREATE POLICY booking_moves_worker ON booking_moves TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON booking_moves TO tendays_worker;

ALTER TABLE parental_agreements ENABLE ROW LEVEL SECURITY;
ALTER TABLE parental_agreements FORCE ROW LEVEL SECURITY;
CREATE POLICY parental_agreements_owner ON parental_agreements TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY parental_agreements_read ON parental_agreements FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON parental_agreements TO tendays_app;
CREATE POLICY parental_agreements_insert ON parental_agreements FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY parental_agreements_update ON parental_agreements FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[])) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));

ALTER TABLE participations ENABLE ROW LEVEL SECURITY;
ALTER TABLE participations FORCE ROW LEVEL SECURITY;
CREATE POLICY participations_owner ON participations TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY participations_read ON participations FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]) OR employer_id = (SELECT app.org()));
GRANT SELECT, INSERT, UPDATE ON participations TO tendays_app;
CREATE POLICY participations_insert ON participations FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org()));
CREATE POLICY participations_update ON participations FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org())) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org()));
CREATE POLICY participations_worker ON participations TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON participations TO tendays_worker;

ALTER TABLE encounter_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE encounter_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY encounter_keys_owner ON encounter_keys TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY encounter_keys_read ON encounter_keys FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT, INSERT ON encounter_keys TO tendays_app;
CREATE POLICY encounter_keys_insert ON encounter_keys FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));

ALTER TABLE participation_sittings ENABLE ROW LEVEL SECURITY;
ALTER TABLE participation_sittings FORCE ROW LEVEL SECURITY;
CREATE POLICY participation_sittings_owner ON participation_sittings TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY participation_sittings_read ON participation_sittings FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]) OR employer_id = (SELECT app.org()));
GRANT SELECT, INSERT, UPDATE, DELETE ON participation_sittings TO tendays_app;
CREATE POLICY participation_sittings_insert ON participation_sittings FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org()));
CREATE POLICY participation_sittings_update ON participation_sittings FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org())) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org()));
CREATE POLICY participation_sittings_delete ON participation_sittings FOR DELETE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org()));
CREATE POLICY participation_sittings_worker ON participation_sittings TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON participation_sittings TO tendays_worker;

ALTER TABLE attendance_reports ENABLE ROW LEVEL SECURITY;
ALTER TABLE attendance_reports FORCE ROW LEVEL SECURITY;
CREATE POLICY attendance_reports_owner ON attendance_reports TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY attendance_reports_read ON attendance_reports FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]) OR employer_id = (SELECT app.org()));
GRANT SELECT, INSERT ON attendance_reports TO tendays_app;
CREATE POLICY attendance_reports_insert ON attendance_reports FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org()));
CREATE POLICY attendance_reports_worker ON attendance_reports TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON attendance_reports TO tendays_worker;

ALTER TABLE no_shows ENABLE ROW LEVEL SECURITY;
ALTER TABLE no_shows FORCE ROW LEVEL SECURITY;
CREATE POLICY no_shows_owner ON no_shows TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY no_shows_read ON no_shows FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]) OR employer_id = (SELECT app.org()));
GRANT SELECT, INSERT, UPDATE ON no_shows TO tendays_app;
CREATE POLICY no_shows_insert ON no_shows FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org()));
CREATE POLICY no_shows_update ON no_shows FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org())) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]) OR employer_id = (SELECT app.org()));
CREATE POLICY no_shows_worker ON no_shows TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON no_shows TO tendays_worker;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA app FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA app TO tendays_app, tendays_worker;
REVOKE EXECUTE ON FUNCTION app.enter_system(), app.number_events(integer), app.keep_partitions() FROM tendays_app;
REVOKE EXECUTE ON FUNCTION app.show_slot(uuid), app.slot_changed(), app.offer_changed(), app.site_changed()
  FROM tendays_app, tendays_worker;

-- The single rows.
INSERT INTO clock (one, offset_seconds) VALUES (1, 0);
INSERT INTO sequencer (one, last) VALUES (1, 0);
INSERT INTO fanout (one, position) VALUES (1, 0);

SELECT app.keep_partitions();
