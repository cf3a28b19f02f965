-- Until now the application's role could write into the tables, which the functions did in its name:
-- whoever had its password could have added events past every judgement. The functions run in their
-- owner's name now. The search path is theirs, so that nobody slips a table of his own under a name.
ALTER FUNCTION log.append SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION log.append_one SECURITY DEFINER SET search_path = pg_catalog, pg_temp;

REVOKE INSERT ON log.stream, log.event FROM pbxim_app;
REVOKE UPDATE (position) ON log.head FROM pbxim_app;
REVOKE UPDATE (version) ON log.stream FROM pbxim_app;
