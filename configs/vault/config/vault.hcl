# The stack's Vault. The folder is mounted read-only at /vault/config; the server runs as uid 8200 without any
# capability and with a read-only root file system, and writes to /vault/data and /vault/audit alone.

storage "raft" {
  path    = "/vault/data"
  node_id = "vault"
  # Timeouts of raft: a single node elects itself after one second instead of five.
  performance_multiplier = 1
}

# Its listeners are in listeners/: one file for each value of VAULT_ENABLE_TLS.

# How the node names itself: to clients as the stack's networks know it, to other nodes (there are none) on loopback.
api_addr     = "http://vault:8200"
cluster_addr = "http://127.0.0.1:8201"
cluster_name = "devstack"

# Raft storage requires a decision. Locking memory would need a capability; swap on the host should be encrypted or off.
disable_mlock = true

# Tokens and secret_ids that are not given a lifetime end after a day; none outlives 90 days.
default_lease_ttl = "24h"
max_lease_ttl     = "2160h"

ui        = false
log_level = "info"
