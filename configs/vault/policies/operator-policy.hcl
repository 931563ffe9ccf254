# The daily commands of the person in front of the stack: the named exception of the least-privilege matrix.
# Shows and rotates the credentials of every service and delivers their secret_ids; changes no policy, role, mount or auth method.

# Which services have credentials.
path "secret/metadata/services" {
  capabilities = ["list"]
}

# show-password and rotate-password.
path "secret/data/services/postgres" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/postgres/clients" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/pgbouncer" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/pgbouncer/clients" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/mysql" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/mysql/clients" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/mongodb" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/mongodb/clients" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/redis" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/redis/clients" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/rabbitmq" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/rabbitmq/clients" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/forgejo" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/forgejo/clients" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/reference-api" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/reference-api/clients" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/postgres-exporter" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/postgres-exporter/clients" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/mysql-exporter" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/mysql-exporter/clients" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/mongodb-exporter" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/mongodb-exporter/clients" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/redis-exporter" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/redis-exporter/clients" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/backup" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/backup/clients" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/migrate" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/services/migrate/clients" {
  capabilities = ["create", "read", "update"]
}

# approle-status and rotate-secret-ids.
path "auth/approle/role/postgres/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/postgres/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/postgres/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/postgres/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/postgres/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/pgbouncer/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/pgbouncer/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/pgbouncer/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/pgbouncer/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/pgbouncer/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/mysql/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/mysql/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/mysql/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/mysql/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/mysql/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/mongodb/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/mongodb/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/mongodb/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/mongodb/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/mongodb/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/redis/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/redis/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/redis/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/redis/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/redis/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/rabbitmq/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/rabbitmq/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/rabbitmq/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/rabbitmq/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/rabbitmq/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/forgejo/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/forgejo/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/forgejo/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/forgejo/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/forgejo/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/reference-api/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/reference-api/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/reference-api/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/reference-api/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/reference-api/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/postgres-exporter/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/postgres-exporter/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/postgres-exporter/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/postgres-exporter/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/postgres-exporter/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/mysql-exporter/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/mysql-exporter/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/mysql-exporter/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/mysql-exporter/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/mysql-exporter/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/mongodb-exporter/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/mongodb-exporter/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/mongodb-exporter/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/mongodb-exporter/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/mongodb-exporter/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/redis-exporter/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/redis-exporter/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/redis-exporter/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/redis-exporter/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/redis-exporter/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/backup/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/backup/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/backup/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/backup/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/backup/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/migrate/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/migrate/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/migrate/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/migrate/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/migrate/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/operator/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/operator/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/operator/secret-id/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/operator/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/operator/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

# Its own token: the role has no default policy.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
