# Vault's own server. The address that others use is VAULT_API_ADDR of the container.
ui = true

# Required since 1.20 where storage is raft; swap is the host's matter.
disable_mlock = true

storage "raft" {
  path    = "/vault/data"
  node_id = "vault"
}

listener "tcp" {
  address         = "0.0.0.0:8200"
  cluster_address = "127.0.0.1:8201"
  tls_disable     = true
}

api_addr     = "http://vault:8200"
cluster_addr = "http://127.0.0.1:8201"

# Tokens of services live for minutes; nothing needs a month.
default_lease_ttl = "1h"
max_lease_ttl     = "768h"

telemetry {
  prometheus_retention_time = "1h"
  disable_hostname          = true
}
