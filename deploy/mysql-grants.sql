-- The daemon's own database user: it can log in over TLS, and read two tables (MySQL 8, MariaDB 10.4+).
-- Run as an administrator:
--   mysql < mysql-grants.sql
-- The account stays locked until it has a password; give it one by hand, so that no file holds it:
--   ALTER USER 'autoscaler'@'%' IDENTIFIED BY '...';
--   ALTER USER 'autoscaler'@'%' ACCOUNT UNLOCK;
-- REQUIRE SSL wants ?ssl_mode=REQUIRED (better: ?ssl_mode=VERIFY_IDENTITY&ssl_ca=...) in the URL.
-- Airflow's database under a name other than airflow: put it in the two places.

CREATE USER 'autoscaler'@'%'
    REQUIRE SSL
    -- Two for each daemon (its reading and its lease, which needs no grant), some for `autoscaler check`.
    WITH MAX_USER_CONNECTIONS 10
    ACCOUNT LOCK;

GRANT SELECT ON airflow.job TO 'autoscaler'@'%';
GRANT SELECT ON airflow.task_instance TO 'autoscaler'@'%';
