"""A worker autoscaler for Apache Airflow on Amazon ECS Fargate."""
