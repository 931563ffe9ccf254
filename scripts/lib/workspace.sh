# shellcheck shell=sh
# The workspace's own steps, shared by quickstart, test and prove. Uses: $root, $logs and terminal.sh.

# Puts the Node and pnpm of .tools first in the path where setup has made them.
use_tools() {
  export TURBO_TELEMETRY_DISABLED=1 DO_NOT_TRACK=1 VERDACCIO_DISABLE_TELEMETRY=1
  if [ -x "${root:?}/.tools/bin/node" ]; then PATH=$root/.tools/bin:$PATH; export PATH; fi
}

install_dependencies() { step 'Installing dependencies (pnpm install)' install.log pnpm install --frozen-lockfile; }

# What running the stack needs: each app is a bundle of the sources, so no package has to be built before it.
build_apps() { step 'Building the apps' build.log pnpm --filter './apps/*' exec tsup; }

build_workspace() { step 'Building packages and apps' build.log pnpm run build; }

# The bundle that containers must trust behind a network that re-signs TLS; nothing where the machine has none.
ca_bundle() {
  for bundle in "${SSL_CERT_FILE:-}" "${NODE_EXTRA_CA_CERTS:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    if [ -n "$bundle" ] && [ -s "$bundle" ]; then echo "$bundle"; return; fi
  done
}

# The images of the stack and of the test helpers; what is present and current comes from the build cache. Compose would build them one after
# another, in the order in which services start.
# shellcheck disable=SC2317,SC2329  # called by name
build_images() {
  DEVSTACK_CA_BUNDLE=$(ca_bundle)
  export DEVSTACK_CA_BUNDLE="${DEVSTACK_CA_BUNDLE:-/dev/null}"
  docker compose --file infrastructure/compose/compose.yaml --profile '*' config >"${logs:?}/compose-config.yaml" &&
    docker buildx bake --progress plain --load --file "$logs/compose-config.yaml"
}
