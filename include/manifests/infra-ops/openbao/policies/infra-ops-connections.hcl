# Airflow's secrets backend: connections, each by its id.
path "infra/data/airflow/connections/+" {
  capabilities = ["read"]
}
