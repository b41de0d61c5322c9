-- Every process asks at its start whether the schema is as new as its code.
GRANT SELECT ON alembic_version TO tendays_app, tendays_worker;
