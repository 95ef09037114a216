-- The daemon's own database user: it can log in, and read two tables.
-- Run inside Airflow's database by somebody who may create roles and owns Airflow's tables:
--   psql --dbname airflow --file postgres-grants.sql
-- then give it a password, which psql asks for and sends hashed:
--   \password autoscaler
-- Airflow's tables in a schema other than public: put its name in the three places.

CREATE ROLE autoscaler
    LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION
    -- Two for each daemon (its reading and its lease, which needs no grant), some for `autoscaler check`.
    CONNECTION LIMIT 10;

-- A second lock on the door: whatever is granted one day by mistake, it does not write.
ALTER ROLE autoscaler SET default_transaction_read_only = on;
ALTER ROLE autoscaler SET search_path = public;

SELECT format('GRANT CONNECT ON DATABASE %I TO autoscaler', current_database()) \gexec
GRANT USAGE ON SCHEMA public TO autoscaler;
GRANT SELECT ON public.job, public.task_instance TO autoscaler;
